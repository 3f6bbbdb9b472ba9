package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/job"
)

// The orders of lists, as cursors name them.
const (
	jobsOrder = "jobs"
	runsOrder = "runs"
)

func jobCursor(j job.Job) page.Cursor { return page.AtTime(jobsOrder, j.CreatedAt, j.ID) }
func runCursor(r job.Run) page.Cursor { return page.AtTime(runsOrder, r.QueuedAt, r.ID) }

// Get gives the jobs that there are.
func (s *Store) Get(ctx context.Context, ids []string, owner string) ([]job.Job, error) {
	var where sqldb.Where
	where.In("id", ids)
	ownedBy(&where, owner)
	return s.jobs(ctx, `SELECT `+jobColumns+` FROM jobs`+where.SQL(), where.Args())
}

// List gives a page of jobs, newest first.
func (s *Store) List(ctx context.Context, filter job.Filter, request page.Request) (page.Page[job.Job], error) {
	size, err := request.Size()
	if err != nil {
		return page.Page[job.Job]{}, err
	}
	where := filtered(filter)
	if err := after(&where, jobsOrder, "created_at", request.After); err != nil {
		return page.Page[job.Job]{}, err
	}
	limit := where.Arg(size + 1)
	jobs, err := s.jobs(ctx, `SELECT `+jobColumns+` FROM jobs`+where.SQL()+` ORDER BY created_at DESC, id DESC LIMIT `+limit, where.Args())
	if err != nil {
		return page.Page[job.Job]{}, err
	}
	p := page.Cut(jobs, size, jobCursor)
	if request.WithTotal {
		p.Total, err = s.total(ctx, filtered(filter))
	}
	return p, err
}

func filtered(filter job.Filter) sqldb.Where {
	var where sqldb.Where
	if len(filter.Statuses) > 0 {
		statuses := make([]string, len(filter.Statuses))
		for i, status := range filter.Statuses {
			statuses[i] = string(status)
		}
		where.In("status", statuses)
	}
	if len(filter.Kinds) > 0 {
		where.In("kind", filter.Kinds)
	}
	if filter.DeviceID != "" {
		where.And("device_id <> '' AND device_id = ?", filter.DeviceID)
	}
	if filter.NameContains != "" {
		where.And(`name_folded LIKE ? ESCAPE '\'`, "%"+escapeLike(fold(filter.NameContains))+"%")
	}
	ownedBy(&where, filter.CreatedBy)
	return where
}

func escapeLike(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}

func ownedBy(where *sqldb.Where, owner string) {
	if owner != "" {
		where.And("created_by = ?", owner)
	}
}

// after begins the page behind the cursor.
func after(where *sqldb.Where, order, column, cursor string) error {
	c, ok, err := page.ParseCursor(order, cursor)
	if err != nil || !ok {
		return err
	}
	at, err := c.Micros()
	if err != nil {
		return err
	}
	if _, err := ids.Parse(c.ID); err != nil {
		return errs.Invalid("after", "is not a cursor of this list")
	}
	where.And("("+column+", id) < (?, ?)", at, c.ID)
	return nil
}

func (s *Store) jobs(ctx context.Context, query string, args []any) ([]job.Job, error) {
	rows, err := s.db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	return sqldb.Collect(rows, scanJob)
}

func (s *Store) total(ctx context.Context, where sqldb.Where) (*int64, error) {
	var total int64
	if err := s.db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM jobs`+where.SQL(), where.Args()...).Scan(&total); err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	return &total, nil
}

// Count counts jobs by status.
func (s *Store) Count(ctx context.Context, owner string) (job.Counts, error) {
	var where sqldb.Where
	ownedBy(&where, owner)
	rows, err := s.db.Read().QueryContext(ctx, `SELECT status, COUNT(*) FROM jobs`+where.SQL()+` GROUP BY status`, where.Args()...)
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	type count struct {
		status job.Status
		n      int64
	}
	all, err := sqldb.Collect(rows, func(row sqldb.Row) (c count, err error) { return c, row.Scan(&c.status, &c.n) })
	counts := make(job.Counts, len(all))
	for _, c := range all {
		counts[c.status] = c.n
	}
	return counts, err
}

// ListOfDevices gives a page of jobs for each device that has any.
func (s *Store) ListOfDevices(ctx context.Context, deviceIDs []string, owner string, request page.Request) (map[string]page.Page[job.Job], error) {
	var where sqldb.Where
	where.And("device_id <> ''") // as the index says
	where.In("device_id", deviceIDs)
	ownedBy(&where, owner)
	return pages(ctx, s.db, batch[job.Job]{
		table: "jobs", columns: jobColumns, parent: "device_id", sortKey: "created_at", order: jobsOrder, where: where,
		scan: scanJob, parentOf: func(j job.Job) string { return j.DeviceID }, cursorOf: jobCursor,
	}, request)
}

// ListRuns gives a page of runs for each job that has any.
func (s *Store) ListRuns(ctx context.Context, jobIDs []string, owner string, request page.Request) (map[string]page.Page[job.Run], error) {
	var where sqldb.Where
	where.In("job_id", jobIDs)
	if owner != "" {
		where.And("EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_runs.job_id AND jobs.created_by = ?)", owner)
	}
	return pages(ctx, s.db, batch[job.Run]{
		table: "job_runs", columns: runColumns, parent: "job_id", sortKey: "queued_at", order: runsOrder, where: where,
		scan: scanRun, parentOf: func(r job.Run) string { return r.JobID }, cursorOf: runCursor,
	}, request)
}

// batch is a list that is cut into one page a parent.
type batch[T any] struct {
	table, columns, parent, sortKey string
	order                           string
	where                           sqldb.Where
	scan                            func(sqldb.Row) (T, error)
	parentOf                        func(T) string
	cursorOf                        func(T) page.Cursor
}

// pages reads one page for each parent that has any, all by one query.
func pages[T any](ctx context.Context, db *sqldb.DB, b batch[T], request page.Request) (map[string]page.Page[T], error) {
	size, err := request.Size()
	if err != nil {
		return nil, err
	}
	totals, err := b.totals(ctx, db, request.WithTotal)
	if err != nil {
		return nil, err
	}
	where := b.where
	if err := after(&where, b.order, b.sortKey, request.After); err != nil {
		return nil, err
	}
	limit := where.Arg(size + 1)
	rows, err := db.Read().QueryContext(ctx, `SELECT `+b.columns+` FROM (SELECT `+b.columns+`, ROW_NUMBER() OVER (
			PARTITION BY `+b.parent+` ORDER BY `+b.sortKey+` DESC, id DESC) AS place FROM `+b.table+where.SQL()+`) AS ranked
		WHERE place <= `+limit+` ORDER BY `+b.parent+`, place`, where.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read pages of %s: %w", b.table, err)
	}
	items, err := sqldb.Collect(rows, b.scan)
	if err != nil {
		return nil, err
	}
	return b.cut(items, size, totals), nil
}

func (b batch[T]) cut(items []T, size int, totals map[string]*int64) map[string]page.Page[T] {
	byParent := map[string][]T{}
	for _, item := range items {
		parent := b.parentOf(item)
		byParent[parent] = append(byParent[parent], item)
	}
	cut := make(map[string]page.Page[T], len(byParent))
	for parent, total := range totals { // a parent whose last page has passed has a total still
		cut[parent] = page.Page[T]{Total: total}
	}
	for parent, own := range byParent {
		p := page.Cut(own, size, b.cursorOf)
		p.Total = totals[parent]
		cut[parent] = p
	}
	return cut
}

// totals counts the whole list of each parent that has any, when asked for.
func (b batch[T]) totals(ctx context.Context, db *sqldb.DB, wanted bool) (map[string]*int64, error) {
	if !wanted {
		return nil, nil
	}
	rows, err := db.Read().QueryContext(ctx, `SELECT `+b.parent+`, COUNT(*) FROM `+b.table+b.where.SQL()+` GROUP BY `+b.parent, b.where.Args()...)
	if err != nil {
		return nil, fmt.Errorf("count %s: %w", b.table, err)
	}
	type total struct {
		parent string
		n      int64
	}
	all, err := sqldb.Collect(rows, func(row sqldb.Row) (t total, err error) { return t, row.Scan(&t.parent, &t.n) })
	totals := make(map[string]*int64, len(all))
	for _, t := range all {
		totals[t.parent] = &t.n
	}
	return totals, err
}
