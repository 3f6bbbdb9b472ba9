package input

import (
	"slices"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

// MaxIDs bounds the ids of one call.
const MaxIDs = 1_000

// ID refuses what cannot be the id of the kind.
func ID(field string, kind ids.Kind, id string) error {
	if err := ids.Check(kind, id); err != nil {
		return errs.Invalid(field, "%v", err)
	}
	return nil
}

// OptionalID is ID for a reference: "" refers to nothing, and passes.
func OptionalID(field string, kind ids.Kind, id string) error {
	if id == "" {
		return nil
	}
	return ID(field, kind, id)
}

// IDs is those that can be ids of the kind, each once and sorted. The others name nothing, which is
// no error: a batch answers with what there is. More than MaxIDs are refused.
func IDs(field string, kind ids.Kind, all []string) ([]string, error) {
	if len(all) > MaxIDs {
		return nil, errs.Invalid(field, "are more than %d", MaxIDs)
	}
	known := slices.DeleteFunc(slices.Clone(all), func(id string) bool { return ids.Check(kind, id) != nil })
	slices.Sort(known)
	return slices.Compact(known), nil
}
