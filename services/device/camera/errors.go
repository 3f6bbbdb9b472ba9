package camera

// Reasons of refusals and failures.
const (
	ReasonNotACamera     = "NOT_A_CAMERA"
	ReasonStreamFlapping = "STREAM_FLAPPING"
	ReasonTooManyViewers = "TOO_MANY_VIEWERS"
)
