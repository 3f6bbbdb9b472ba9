package importer

// maxFaults is how many faults a report keeps.
const maxFaults = 1_000

// Report is what became of rows.
type Report struct {
	Counts
	Faults []Fault // the first 1,000, in the order of files and mostly of lines
	Files  []FileReport
}

// FileReport is what became of the rows of one file.
type FileReport struct {
	Name string
	Counts
}

// Counts counts rows: Rows = Stored + Repeated + Bad, unless the import was broken off.
type Counts struct {
	Rows     int64 // met
	Stored   int64 // new
	Repeated int64 // there already
	Bad      int64 // left out
	Trips    int64 // made
	Devices  int64 // made
}

// Fault is one row that was left out, or several in a row for one reason.
type Fault struct {
	File   string
	Line   int // counted from 1; the first, of several
	Reason string
}

func (c *Counts) add(d Counts) {
	c.Rows += d.Rows
	c.Stored += d.Stored
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

// join adds the report of other files.
func (r *Report) join(other Report) {
	r.Counts.add(other.Counts)
	r.Files = append(r.Files, other.Files...)
	for _, f := range other.Faults {
		r.fault(f)
	}
}
