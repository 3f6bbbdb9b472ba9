package rpc_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/sqldb"
	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
	"github.com/sluicehq/sluice/services/job/rpc"
	"github.com/sluicehq/sluice/services/job/store"
	"github.com/sluicehq/sluice/services/job/webhook"
)

const hook = `{"url":"https://93.184.216.34/services/s3cr3t-path","headers":{"Authorization":"Bearer s3cr3t-token"},"body":{"n":1}}`

// rowsWith returns the columns of all tables whose values contain the text: events, idempotency keys, everything.
func rowsWith(t *testing.T, db *sqldb.DB, text string) (found []string) {
	t.Helper()
	tables, err := sqldb.Select(t.Context(), db.Read(), sqldb.Text, `SELECT name FROM sqlite_master WHERE type = 'table'`)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		rows, err := db.Read().QueryContext(t.Context(), `SELECT * FROM `+table) // a name from the schema
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for i, value := range values {
				if strings.Contains(fmt.Sprintf("%s", value), text) {
					found = append(found, table+"."+columns[i])
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestCredentialsOfWebhooksGoInAndNeverComeOut(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	operator := caller.NewContext(t.Context(), caller.Caller{AccountID: "account_o", Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)})
	jobs := store.New(h.db, rpc.EncodeJob, rpc.EncodeOrder)
	request := &jobv1.CreateJobRequest{Name: "hook", Kind: "webhook", PayloadJson: hook, Cron: "0 0 1 1 *", IdempotencyKey: "once"}
	made, err := h.CreateJob(operator, request)
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.CreateJob(operator, request)
	if err != nil || again.GetId() != made.GetId() {
		t.Fatalf("%v, %v", again, err)
	}
	secret := func() string {
		t.Helper()
		found, err := jobs.Get(t.Context(), []string{made.GetId()}, "")
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %v", found, err)
		}
		return found[0].Secret
	}
	if secret() != hook {
		t.Fatalf("stored %s", secret())
	}
	same, err := h.UpdateJob(operator, &jobv1.UpdateJobRequest{Id: made.GetId(), PayloadJson: proto.String(made.GetPayloadJson())})
	if err != nil || same.GetVersion() != made.GetVersion() || secret() != hook {
		t.Errorf("the payload as it was shown: %v, %v, stored %s", same, err, secret())
	}
	edited := strings.Replace(made.GetPayloadJson(), `"n":1`, `"n":2`, 1)
	changed, err := h.UpdateJob(operator, &jobv1.UpdateJobRequest{Id: made.GetId(), PayloadJson: &edited})
	if err != nil || changed.GetPayloadJson() != edited || secret() != strings.Replace(hook, `"n":1`, `"n":2`, 1) {
		t.Errorf("an edited body: %v, %v, stored %s", changed, err, secret())
	}
	elsewhere := strings.Replace(edited, "93.184.216.34/********", "93.184.216.35/", 1)
	if _, err := h.UpdateJob(operator, &jobv1.UpdateJobRequest{Id: made.GetId(), PayloadJson: &elsewhere}); err == nil {
		t.Error("the secret was sent to another host")
	}
	list, err := h.ListJobs(operator, &jobv1.ListJobsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []fmt.Stringer{made, again, same, changed, list} {
		if strings.Contains(answer.String(), "s3cr3t") {
			t.Errorf("answered %s", answer)
		}
	}
	if found := rowsWith(t, h.db, "s3cr3t"); found != nil {
		t.Errorf("rows with secrets: %v", found)
	}
}

// What an earlier version stored in plain text is sealed at the start, also in the results of runs.
func TestOldWebhooksAreSealedAtTheStart(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	operator := caller.NewContext(t.Context(), caller.Caller{AccountID: "account_o", Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)})
	made, err := h.CreateJob(operator, &jobv1.CreateJobRequest{Name: "hook", Kind: "webhook", PayloadJson: hook, Cron: "0 0 1 1 *"})
	if err != nil {
		t.Fatal(err)
	}
	err = h.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		for _, statement := range []string{
			`UPDATE jobs SET payload = '` + hook + `', secret_payload = '', result = '{"body":"you sent s3cr3t-token"}'`,
			`INSERT INTO job_runs (id, job_id, firing_id, attempt, status, due_at, queued_at, result, error)
				VALUES ('run_1', '` + made.GetId() + `', 'run_1', 1, 'FAILED', 0, 0, '{"body":"/services/s3cr3t-path"}', 'at s3cr3t-path')`,
		} {
			if _, err := tx.ExecContext(t.Context(), statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	jobs := store.New(h.db, rpc.EncodeJob, rpc.EncodeOrder)
	for range 2 {
		if err := jobs.Conceal(t.Context(), "webhook", webhook.New(webhook.Options{})); err != nil {
			t.Fatal(err)
		}
	}
	found, err := jobs.Get(t.Context(), []string{made.GetId()}, "")
	if err != nil || found[0].Secret != hook || found[0].Version != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	if left := rowsWith(t, h.db, "s3cr3t"); left != nil {
		t.Errorf("rows with secrets: %v", left)
	}
}
