package guard

import "strings"

// sort says what may be done with a call beyond making it.
type sort struct {
	again  bool // it changes nothing: one that found nobody may be made again
	hedged bool // and it is cheap: one that is late may be made a second time beside
}

// sorts is the one table of that, by the verbs with which the methods of the contracts begin, the first
// that fits. What is not in it is a write: made once, unless it carries an idempotency key.
var sorts = []struct {
	verb string
	sort
}{
	{"ReportPosition", sort{}},
	{"BatchGetTracks", sort{again: true}},      // large answers
	{"BatchQueryTelemetry", sort{again: true}}, // works long for them
	{"Sum", sort{again: true}},
	{"Report", sort{again: true}},
	{"BatchGet", sort{again: true, hedged: true}},
	{"BatchList", sort{again: true, hedged: true}},
	{"BatchQuery", sort{again: true}},
	{"Get", sort{again: true, hedged: true}},
	{"List", sort{again: true, hedged: true}},
	{"Count", sort{again: true, hedged: true}},
}

func sortOf(method string) sort {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for _, s := range sorts {
		if strings.HasPrefix(name, s.verb) {
			return s.sort
		}
	}
	return sort{}
}

// hasKey tells a write that may be made again, because its service knows it by its key.
func hasKey(request any) bool {
	keyed, ok := request.(interface{ GetIdempotencyKey() string })
	return ok && keyed.GetIdempotencyKey() != ""
}
