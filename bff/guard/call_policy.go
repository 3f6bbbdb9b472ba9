package guard

import "strings"

// callPolicy says which extra calls a method allows.
type callPolicy struct {
	retry bool // a read: a call that did not reach the service may be retried
	hedge bool // cheap too: a late call may be sent a second time
}

// policies are by the prefix of the method; the first match counts. A method without a match is a write: it is not
// retried without an idempotency key, and never hedged.
var policies = []struct {
	prefix string
	callPolicy
}{
	{"ReportPosition", callPolicy{}},
	{"BatchGetTracks", callPolicy{retry: true}},      // large replies
	{"BatchQueryTelemetry", callPolicy{retry: true}}, // expensive
	{"Sum", callPolicy{retry: true}},
	{"Report", callPolicy{retry: true}},
	{"BatchGet", callPolicy{retry: true, hedge: true}},
	{"BatchList", callPolicy{retry: true, hedge: true}},
	{"BatchQuery", callPolicy{retry: true}},
	{"CheckSessions", callPolicy{retry: true, hedge: true}},
	{"Get", callPolicy{retry: true, hedge: true}},
	{"List", callPolicy{retry: true, hedge: true}},
	{"Count", callPolicy{retry: true, hedge: true}},
}

// method is what the guard knows of one method.
type method struct {
	callPolicy
	breaker *breaker
	latency latency
}

func (c *Conn) methodOf(name string) *method {
	if known, ok := c.methods.Load(name); ok {
		return known.(*method)
	}
	m := &method{callPolicy: policyOf(name), breaker: c.writes}
	if m.retry {
		m.breaker = c.reads
	}
	known, _ := c.methods.LoadOrStore(name, m)
	return known.(*method)
}

func policyOf(name string) callPolicy {
	name = name[strings.LastIndexByte(name, '/')+1:]
	for _, p := range policies {
		if strings.HasPrefix(name, p.prefix) {
			return p.callPolicy
		}
	}
	return callPolicy{}
}

// hasIdempotencyKey reports whether the service deduplicates a retry of the write.
func hasIdempotencyKey(request any) bool {
	keyed, ok := request.(interface{ GetIdempotencyKey() string })
	return ok && keyed.GetIdempotencyKey() != ""
}
