package camera

// Reasons that are given here, beside those of package errs.
const (
	ReasonNotACamera     = "NOT_A_CAMERA"
	ReasonStreamFlapping = "STREAM_FLAPPING"
	ReasonTooManyViewers = "TOO_MANY_VIEWERS"
)
