package entity

import (
	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/entity"
)

func noteFacts(n *bff.Note) entity.Facts { return entity.Facts{Owner: n.AccountID} }

var noteMethods = []Method{ // a table, never written
	{"Notes.GetNotes", Bypass, "", 0, "an example"},
	{"Notes.AddNote", Bypass, "", 0, "notes are not cached"},
}
