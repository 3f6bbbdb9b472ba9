package loaders

import "github.com/sluicehq/sluice/bff"

// Notes loads notes by id.
func Notes(p Ports) Batch[string, *bff.Note] { return byID("note", p.Notes.GetNotes) }
