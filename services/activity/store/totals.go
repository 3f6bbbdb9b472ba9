package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/activity"
)

// least is the smallest part of a total that is stored, in ml. Sources round their sums.
const least = 0.5

// total is the sum that a source states for an interval.
type total struct {
	template  activity.Activity // without an amount
	sum       float64
	startedAt int64
	endedAt   int64
}

// addTotal stores the total. Its activity is written when totals are settled.
func (i *importing) addTotal(ctx context.Context, in activity.ImportedActivity) error {
	a := in.Activity
	before, known, err := findTotal(ctx, i.tx, nameOf(a))
	if err != nil {
		return err
	}
	var stored bool
	if !known {
		if _, stored, err = find(ctx, i.tx, nameOf(a)); err != nil { // as imports stored it that knew no totals
			return err
		}
	}
	switch {
	case !known && !stored && *in.Total == 0:
		i.counts.Empty++
		return nil
	case known && before.sum == *in.Total && before.startedAt == sqldb.Micros(a.StartedAt) && before.endedAt == sqldb.Micros(*a.EndedAt):
		i.counts.Repeated++
		return nil
	case known || stored:
		i.counts.Updated++
	default:
		i.counts.Stored++
		i.newTotals[nameOf(a)] = true
	}
	i.touch(a)
	a.Amount = nil
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("write a total: %w", err)
	}
	_, err = i.tx.Insert(ctx, "activity_totals", "source, external_id, account_id, started_at, ended_at, total, activity",
		[][]any{{a.Source, a.ExternalID, a.AccountID, sqldb.Micros(a.StartedAt), sqldb.Micros(*a.EndedAt), *in.Total, string(text)}},
		`ON CONFLICT (source, external_id, account_id) DO UPDATE SET started_at = excluded.started_at, ended_at = excluded.ended_at,
			total = excluded.total, activity = excluded.activity`)
	return err
}

const totalColumns = `started_at, ended_at, total, activity`

func findTotal(ctx context.Context, tx *sqldb.Tx, n name) (t total, known bool, err error) {
	t, err = scanTotal(tx.QueryRowContext(ctx, `SELECT `+totalColumns+` FROM activity_totals
		WHERE source = $1 AND external_id = $2 AND account_id = $3`, n.source, n.externalID, n.accountID))
	if errors.Is(err, sql.ErrNoRows) {
		return t, false, nil
	}
	return t, err == nil, err
}

func scanTotal(row sqldb.Row) (t total, err error) {
	var text string
	if err := row.Scan(&t.startedAt, &t.endedAt, &t.sum, &text); err != nil {
		return t, err
	}
	return t, json.Unmarshal([]byte(text), &t.template)
}

// settleTotals writes the activities of the totals whose intervals have changed. index is that of their events.
func (i *importing) settleTotals(ctx context.Context, index int) error {
	settled := map[name]bool{}
	for _, a := range slices.Clone(i.touched) {
		start := sqldb.Micros(a.StartedAt)
		totals, err := sqldb.Select(ctx, i.tx, scanTotal, `SELECT `+totalColumns+` FROM activity_totals
			WHERE account_id = $1 AND source = $2 AND started_at > $3 AND started_at <= $4 AND ended_at > $5`,
			a.AccountID, a.Source, start-activity.MaxTotal.Microseconds(), start, start)
		if err != nil {
			return fmt.Errorf("find totals: %w", err)
		}
		for _, t := range totals {
			if n := nameOf(t.template); !settled[n] {
				settled[n] = true
				if err := i.settle(ctx, index, t); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// settle stores the part of a total that no other activity of its source explains. Without such a part it removes the
// activity of the total.
func (i *importing) settle(ctx context.Context, index int, t total) error {
	rest, err := i.restOf(ctx, t)
	if err != nil {
		return err
	}
	before, known, err := find(ctx, i.tx, nameOf(t.template))
	if err != nil {
		return err
	}
	after := t.template
	after.Amount, after.Title = &rest, activity.WaterTitle(&rest)
	switch {
	case !known && rest < least:
		if i.newTotals[nameOf(t.template)] { // its logs are known
			i.counts.Stored--
			i.counts.Repeated++
		}
		return nil
	case !known:
		after.ID, after.CreatedAt, after.UpdatedAt = ids.New(ids.Activity), i.at, i.at
		_, err := i.insert(ctx, index, after)
		return err
	case rest < least:
		after = before
		after.WithdrawnAt = &i.at
	case before.Amount != nil && *before.Amount == rest && before.StartedAt.Equal(after.StartedAt):
		return nil
	}
	after.ID, after.Version, after.CreatedAt, after.UpdatedAt = before.ID, before.Version+1, before.CreatedAt, i.at
	return i.replace(ctx, index, before, after)
}

func (i *importing) restOf(ctx context.Context, t total) (float64, error) {
	var parts float64
	n := nameOf(t.template)
	err := i.tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(amount), 0) FROM activities
		WHERE account_id = $1 AND kind = $2 AND source = $3 AND started_at >= $4 AND started_at < $5 AND external_id <> $6`,
		n.accountID, string(activity.Hydration), n.source, t.startedAt, t.endedAt, n.externalID).Scan(&parts)
	if err != nil {
		return 0, fmt.Errorf("add up the parts of a total: %w", err)
	}
	return t.sum - parts, nil
}
