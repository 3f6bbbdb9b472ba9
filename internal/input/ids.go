package input

import (
	"slices"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

// MaxIDs bounds the ids of one call.
const MaxIDs = 1_000

// ID refuses an id that is not valid for the kind.
func ID(field string, kind ids.Kind, id string) error {
	if err := ids.Check(kind, id); err != nil {
		return errs.Invalid(field, "%v", err)
	}
	return nil
}

// OptionalID is ID for a reference that may be "".
func OptionalID(field string, kind ids.Kind, id string) error {
	if id == "" {
		return nil
	}
	return ID(field, kind, id)
}

// IDs returns the valid ids of the kind, sorted and without duplicates. It skips invalid ids, because a batch read
// returns what exists, and refuses more than MaxIDs ids.
func IDs(field string, kind ids.Kind, all []string) ([]string, error) {
	if len(all) > MaxIDs {
		return nil, errs.Invalid(field, "are more than %d", MaxIDs)
	}
	known := slices.DeleteFunc(slices.Clone(all), func(id string) bool { return ids.Check(kind, id) != nil })
	slices.Sort(known)
	return slices.Compact(known), nil
}
