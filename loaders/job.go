package loaders

import "github.com/sluicehq/sluice/bff"

func jobs(port bff.Jobs) Batch[string, *bff.Job] {
	return nodes("job", port.GetJobs)
}

func jobRuns(port bff.Jobs) Batch[PageKey, bff.Page[bff.JobRun]] {
	return grouped(splitPage, port.ListJobRuns)
}
