package loaders

import "github.com/sluicehq/sluice/bff"

func activities(port bff.Activities) Batch[string, *bff.Activity] {
	return nodes("activity", port.GetActivities)
}
