package loaders

import "github.com/sluicehq/sluice/bff"

// Activities loads activities by id.
func Activities(p Ports) Batch[string, *bff.Activity] {
	return byID("activity", p.Activities.GetActivities)
}
