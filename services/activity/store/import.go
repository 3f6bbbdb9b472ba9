package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/activity"
)

// bySystem is the author of changes that an import makes.
const bySystem = "system"

// name identifies an activity in its source.
type name struct{ source, externalID, accountID string }

func nameOf(a activity.Activity) name { return name{a.Source, a.ExternalID, a.AccountID} }

// importing is the state of one import.
type importing struct {
	tx      *sqldb.Tx
	at      time.Time
	counts  activity.ImportCounts
	touched []activity.Activity // water whose totals are to be settled
	events  []pendingEvent

	newTotals map[name]bool // that are counted as stored
}

type pendingEvent struct {
	index    int // in the batch
	change   string
	activity activity.Activity
}

// Import implements activity.Store. It writes in the order of the names, so concurrent imports cannot deadlock. The
// events are in the order of the input.
func (s *Store) Import(ctx context.Context, batch []activity.ImportedActivity, at time.Time) (activity.ImportCounts, error) {
	var i *importing
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		i = &importing{tx: tx, at: at, newTotals: map[name]bool{}}
		for _, index := range byName(batch) {
			if err := i.add(ctx, index, batch[index]); err != nil {
				return err
			}
		}
		if err := i.settleTotals(ctx, len(batch)); err != nil {
			return err
		}
		slices.SortStableFunc(i.events, func(a, b pendingEvent) int { return cmp.Compare(a.index, b.index) })
		for _, e := range i.events {
			if err := s.emit(ctx, tx, e.change, e.activity); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return activity.ImportCounts{}, fmt.Errorf("import activities: %w", err)
	}
	return i.counts, nil
}

// byName returns the indexes of the activities in the order of their names, and for equal names in input order.
func byName(batch []activity.ImportedActivity) []int {
	order := make([]int, len(batch))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := nameOf(batch[i].Activity), nameOf(batch[j].Activity)
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.externalID, b.externalID), cmp.Compare(a.accountID, b.accountID))
	})
	return order
}

func (i *importing) add(ctx context.Context, index int, in activity.ImportedActivity) error {
	if in.Total != nil {
		return i.addTotal(ctx, in)
	}
	before, known, err := find(ctx, i.tx, nameOf(in.Activity))
	if err != nil {
		return err
	}
	if !known {
		return i.addNew(ctx, index, in)
	}
	if before, err = lock(ctx, i.tx, before.ID); err != nil {
		return err
	}
	if !in.Differs(before) {
		i.counts.Repeated++
		return nil
	}
	i.counts.Updated++
	i.touch(before)
	return i.replace(ctx, index, before, in.Replaces(before, i.at))
}

func (i *importing) addNew(ctx context.Context, index int, in activity.ImportedActivity) error {
	isNew, err := i.insert(ctx, index, in.Activity)
	if err != nil {
		return err
	}
	if !isNew {
		i.counts.Repeated++
		return nil
	}
	i.counts.Stored++
	return nil
}

// insert stores an activity, unless its owner has withdrawn it or another import stores it at this moment.
func (i *importing) insert(ctx context.Context, index int, a activity.Activity) (isNew bool, err error) {
	gone, err := withdrawnByOwner(ctx, i.tx, nameOf(a))
	if err != nil || gone {
		return false, err
	}
	if isNew, err = insert(ctx, i.tx, a); err != nil || !isNew {
		return false, err
	}
	i.touch(a)
	i.events = append(i.events, pendingEvent{index, added, a})
	return true, nil
}

func (i *importing) replace(ctx context.Context, index int, before, after activity.Activity) error {
	change, err := write(ctx, i.tx, before, after, bySystem)
	if err != nil {
		return err
	}
	i.touch(after)
	i.events = append(i.events, pendingEvent{index, change, after})
	return nil
}

func (i *importing) touch(a activity.Activity) {
	if a.Kind == activity.Hydration && a.ExternalID != "" {
		i.touched = append(i.touched, a)
	}
}

// find returns the activity of a name. An activity without an external id has none.
func find(ctx context.Context, tx *sqldb.Tx, n name) (a activity.Activity, known bool, err error) {
	if n.externalID == "" {
		return a, false, nil
	}
	a, err = scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM activities
		WHERE source = $1 AND external_id = $2 AND account_id = $3 AND external_id <> ''`, n.source, n.externalID, n.accountID))
	if errors.Is(err, sql.ErrNoRows) {
		return a, false, nil
	}
	return a, err == nil, err
}

// withdrawnByOwner reports whether the owner of a name has withdrawn its activity.
func withdrawnByOwner(ctx context.Context, tx *sqldb.Tx, n name) (bool, error) {
	if n.externalID == "" {
		return false, nil
	}
	found, err := sqldb.Select(ctx, tx, sqldb.Text, `SELECT activity_id FROM activity_history
		WHERE source = $1 AND external_id = $2 AND account_id = $3 AND withdrawn AND external_id <> '' AND replaced_by <> $4 LIMIT 1`,
		n.source, n.externalID, n.accountID, bySystem)
	return len(found) > 0, err
}
