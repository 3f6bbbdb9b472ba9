package sqldb_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
)

func leaves() sqldb.Schema {
	return sqldb.Schema{Files: fstest.MapFS{"migrations/00001_leaves.sql": {Data: []byte(`-- +goose Up
CREATE TABLE leaves (id TEXT PRIMARY KEY, tree TEXT NOT NULL, fell_at BIGINT NOT NULL, shape TEXT);
`)}}}
}

func TestListsOnEachEngineReturnExpectedRows(t *testing.T) {
	t.Parallel()
	sqltest.OnEachEngine(t, leaves(), func(t *testing.T, open func(*testing.T) *sqldb.DB) {
		t.Run("insert, many rows with duplicates, stores new rows", func(t *testing.T) { t.Parallel(); insertMany(t, open(t)) })
		t.Run("Contains, text in another case, matches", func(t *testing.T) { t.Parallel(); contains(t, open(t)) })
		t.Run("Narrow, without values, matches all", func(t *testing.T) { t.Parallel(); narrow(t, open(t)) })
		t.Run("Newest, several pages, orders newest first", func(t *testing.T) { t.Parallel(); newestFirst(t, open(t)) })
		t.Run("Pages, several parents, returns a page each", func(t *testing.T) { t.Parallel(); pageAParent(t, open(t)) })
		t.Run("JSON, with and without value, is read back", func(t *testing.T) { t.Parallel(); jsonReadsBack(t, open(t)) })
	})
}

const leafColumns = "id, tree, fell_at, shape"

type leaf struct {
	id, tree string
	fell     time.Time
}

func scanLeaf(row sqldb.Row) (leaf, error) {
	var l leaf
	var fell int64
	err := row.Scan(&l.id, &l.tree, &fell)
	l.fell = sqldb.Time(fell)
	return l, err
}

// fall keeps n leaves, two a second, of the trees in turn.
func fall(t *testing.T, db *sqldb.DB, n int, trees ...string) []leaf {
	t.Helper()
	fallen := make([]leaf, n)
	rows := make([][]any, n)
	for i := range fallen {
		l := leaf{id: ids.New(ids.Device), tree: trees[i%len(trees)], fell: time.Unix(int64(i/2), 0).UTC()}
		fallen[i], rows[i] = l, []any{l.id, l.tree, sqldb.Micros(l.fell), nil}
	}
	if inserted := insertRows(t, db, rows, ""); inserted != int64(n) {
		t.Fatalf("%d rows went in, want %d", inserted, n)
	}
	return fallen
}

func insertRows(t *testing.T, db *sqldb.DB, rows [][]any, onConflict string) (inserted int64) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sqldb.Tx) (err error) {
		inserted, err = tx.Insert(t.Context(), "leaves", leafColumns, rows, onConflict)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return inserted
}

func insertMany(t *testing.T, db *sqldb.DB) {
	var rows [][]any
	for i := range 257 { // in several statements, the last of which is not full
		rows = append(rows, []any{fmt.Sprintf("%03d", i), "oak", i, nil})
	}
	if first := insertRows(t, db, rows[:100], ""); first != 100 {
		t.Errorf("%d rows went in, want 100", first)
	}
	if rest := insertRows(t, db, rows, "ON CONFLICT DO NOTHING"); rest != 157 || count(t, db, "leaves") != 257 {
		t.Errorf("%d of %d rows went in, want 157 of 257", rest, count(t, db, "leaves"))
	}
	if none := insertRows(t, db, nil, ""); none != 0 {
		t.Errorf("%d rows of none went in", none)
	}
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Insert(t.Context(), "leaves", leafColumns, rows[:1], "")
		return err
	})
	if !sqldb.Violates(err, "leaves_pkey", "leaves.id") {
		t.Errorf("a known row gives %v", err)
	}
}

// found is the trees of the leaves that where holds for.
func found(t *testing.T, db *sqldb.DB, where sqldb.Where) []string {
	t.Helper()
	trees, err := sqldb.Select(t.Context(), db.Read(), sqldb.Text, `SELECT tree FROM leaves`+where.SQL()+` ORDER BY tree`, where.Args()...)
	if err != nil {
		t.Fatal(err)
	}
	return trees
}

func contains(t *testing.T, db *sqldb.DB) {
	names := []string{"plain", "ÄRGER 100% sure", "under_score", `back\slash`}
	folded := make([]string, len(names))
	for i, name := range names {
		folded[i] = sqldb.Fold(name)
	}
	fall(t, db, len(names), folded...)
	for text, want := range map[string]string{"PLA": names[0], "ärG": names[1], "ÄRG": names[1], "0%": names[1], "r_s": names[2], `K\S`: names[3]} {
		var where sqldb.Where
		where.Contains("tree", text)
		if got := found(t, db, where); !slices.Equal(got, []string{sqldb.Fold(want)}) {
			t.Errorf("%q is found in %q, want %q", text, got, want)
		}
	}
}

func narrow(t *testing.T, db *sqldb.DB) {
	type tree string
	fall(t, db, 3, "ash", "elm", "oak")
	for _, c := range []struct {
		trees []tree
		want  []string
	}{{nil, []string{"ash", "elm", "oak"}}, {[]tree{"oak", "ash", "fir"}, []string{"ash", "oak"}}, {[]tree{"fir"}, nil}} {
		var where sqldb.Where
		sqldb.Narrow(&where, "tree", c.trees)
		if got := found(t, db, where); !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.trees, got, c.want)
		}
	}
	var none sqldb.Where
	none.In("tree", nil)
	if got := found(t, db, none); len(got) != 0 {
		t.Errorf("%v are one of none", got)
	}
}

func order() sqldb.Newest { return sqldb.Newest{Name: "leaves", Column: "fell_at", Kind: ids.Device} }

func cursorOf(l leaf) page.Cursor { return order().Cursor(l.fell, l.id) }

func newestFirst(t *testing.T, db *sqldb.DB) {
	fallen := fall(t, db, 7, "oak", "ash")
	slices.Reverse(fallen)
	for i, l := range fallen {
		var where sqldb.Where
		if err := order().After(&where, cursorOf(l).String()); err != nil {
			t.Fatal(err)
		}
		total, err := db.Total(t.Context(), page.Request{WithTotal: true}, "leaves", where)
		if err != nil || *total != int64(len(fallen)-i-1) {
			t.Fatalf("%d leaves behind the %d. newest, %v", *total, i+1, err)
		}
		behind, err := sqldb.Select(t.Context(), db.Read(), scanLeaf, `SELECT id, tree, fell_at FROM leaves`+where.SQL()+order().SQL(), where.Args()...)
		if err != nil || !slices.Equal(behind, fallen[i+1:]) {
			t.Errorf("behind %v: got %v, %v, want %v", l, behind, err, fallen[i+1:])
		}
	}
	if total, err := db.Total(t.Context(), page.Request{}, "leaves", sqldb.Where{}); total != nil || err != nil {
		t.Errorf("a total that was not asked for: %v, %v", total, err)
	}
	foreign := sqldb.Newest{Name: "roots", Column: "fell_at", Kind: ids.Device}
	for _, cursor := range []string{
		"x", foreign.Cursor(time.Now(), fallen[0].id).String(), order().Cursor(time.Now(), ids.New(ids.Trip)).String(),
		page.Cursor{Order: "leaves", Key: "noon", ID: fallen[0].id}.String(),
	} {
		var where sqldb.Where
		if err := order().After(&where, cursor); errs.From(err) == nil || errs.From(err).Code != errs.InvalidArgument || where.SQL() != "" {
			t.Errorf("%q: %v", cursor, err)
		}
	}
}

func pageAParent(t *testing.T, db *sqldb.DB) {
	fallen := fall(t, db, 9, "oak", "oak", "ash")
	slices.Reverse(fallen)
	of := func(tree string) []leaf {
		return slices.DeleteFunc(slices.Clone(fallen), func(l leaf) bool { return l.tree != tree })
	}
	children := sqldb.Children[leaf]{
		Table: "leaves", Columns: "id, tree, fell_at", Parent: "tree", Order: order(),
		Scan: scanLeaf, ParentOf: func(l leaf) string { return l.tree }, CursorOf: cursorOf,
	}
	var where sqldb.Where
	where.In("tree", []string{"oak", "ash", "fir"})
	pages, err := children.Pages(t.Context(), db, where, page.Request{First: 4, WithTotal: true})
	if err != nil || !slices.Equal(slices.Sorted(maps.Keys(pages)), []string{"ash", "oak"}) {
		t.Fatalf("got %v, %v", pages, err)
	}
	if oak := pages["oak"]; !slices.Equal(oak.Items, of("oak")[:4]) || !oak.HasNext || *oak.Total != 6 || oak.Cursors[3] != cursorOf(oak.Items[3]).String() {
		t.Errorf("oak: %+v", oak)
	}
	if ash := pages["ash"]; !slices.Equal(ash.Items, of("ash")) || ash.HasNext || *ash.Total != 3 {
		t.Errorf("ash: %+v", ash)
	}
	last := cursorOf(of("ash")[2]).String()
	pages, err = children.Pages(t.Context(), db, where, page.Request{After: last, WithTotal: true})
	if ash := pages["ash"]; err != nil || len(ash.Items) != 0 || ash.Total == nil || *ash.Total != 3 {
		t.Errorf("behind the last: %+v, %v", ash, err)
	}
	pages, err = children.Pages(t.Context(), db, where, page.Request{First: 1})
	if err != nil || pages["oak"].Total != nil || len(pages["oak"].Items) != 1 {
		t.Errorf("without totals: %+v, %v", pages, err)
	}
	if _, err := children.Pages(t.Context(), db, where, page.Request{First: -1}); err == nil {
		t.Error("a page of -1 passes")
	}
}

func jsonReadsBack(t *testing.T, db *sqldb.DB) {
	type shape struct{ Lobes int }
	for i, want := range []*shape{nil, {Lobes: 7}} {
		stored, err := sqldb.NullJSON(want)
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprint(i)
		insertRows(t, db, [][]any{{id, "oak", 0, stored}}, "")
		if err := db.Read().QueryRowContext(t.Context(), `SELECT shape FROM leaves WHERE id = $1`, id).Scan(&stored); err != nil {
			t.Fatal(err)
		}
		got, err := sqldb.NullValue[shape](stored)
		if err != nil || (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}
