package loaders

import "github.com/sluicehq/sluice/bff"

// Jobs loads jobs by id.
func Jobs(p Ports) Batch[string, *bff.Job] { return byID("job", p.Jobs.GetJobs) }

// JobRuns loads pages of the runs of jobs.
func JobRuns(p Ports) Batch[PageKey, bff.Page[bff.JobRun]] {
	return grouped(splitPage, p.Jobs.ListJobRuns)
}
