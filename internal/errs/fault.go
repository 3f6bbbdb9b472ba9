package errs

// Fault says who can fix an error.
type Fault int

// The faults.
const (
	FaultNone    Fault = iota // no error
	FaultInput                // the request, or the state of the entity: a retry is refused in the same way
	FaultAccess               // the credentials or the rights of the caller
	FaultLoad                 // temporary: a budget, a concurrent change, a cancelled call
	FaultService              // the service is unavailable, too slow or has a defect
)

// FaultOf classifies err.
func FaultOf(err error) Fault {
	if err == nil {
		return FaultNone
	}
	return From(err).Code.Fault()
}

// Fault classifies an error by its code.
func (c Code) Fault() Fault {
	switch c {
	case Unauthenticated, PermissionDenied:
		return FaultAccess
	case ResourceExhausted, Aborted, Cancelled:
		return FaultLoad
	case Unavailable, DeadlineExceeded, Internal:
		return FaultService
	}
	return FaultInput
}
