package importer

// maxFaults is the maximum number of faults in a report.
const maxFaults = 1_000

// Report is the result of an import.
type Report struct {
	Counts
	Faults []Fault // the first 1,000, in the order of files and mostly of lines
	Files  []FileReport
}

// FileReport is the result for one file.
type FileReport struct {
	Name string
	Counts
	Rejected    map[string]int64 // stored fixes that do not count for the distance, by reason
	Assumptions []string         // of the reader, where the file leaves a choice
}

// Counts counts rows: Rows = Stored + Updated + Repeated + Bad, unless the import was aborted.
type Counts struct {
	Rows     int64 // read
	Stored   int64 // new
	Updated  int64 // known already, and changed at their source
	Repeated int64 // known already
	Bad      int64 // dropped
	Trips    int64 // created
	Devices  int64 // created
}

// Fault is a dropped row, or several consecutive rows with the same reason.
type Fault struct {
	File   string
	Line   int // counted from 1; the first of several
	Reason string
}

func (c *Counts) add(d Counts) {
	c.Rows += d.Rows
	c.Stored += d.Stored
	c.Updated += d.Updated
	c.Repeated += d.Repeated
	c.Bad += d.Bad
	c.Trips += d.Trips
	c.Devices += d.Devices
}

func (r *Report) fault(f Fault) {
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, f)
	}
}

func (r *Report) join(other Report) {
	r.Counts.add(other.Counts)
	r.Files = append(r.Files, other.Files...)
	for _, f := range other.Faults {
		r.fault(f)
	}
}
