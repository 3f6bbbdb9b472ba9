package protocol

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/gateway/gqlrequest"
)

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"type":"connection_init","payload":{"Authorization":"Bearer x"}}`, `{"id":"1","type":"subscribe","payload":{"query":"{ a }","variables":{"n":1e400},"extensions":{"after":"x"}}}`,
		`{"type":"start","id":"1","payload":{"query":null}}`, `{"type":"ping","payload":null}`, `[]`, `{"type":{}}`, "\x00", `{"id":"` + strings.Repeat("x", 200) + `","type":"complete"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, d := range dialects {
			m, err := d.Decode(text)
			if err != nil {
				if len(err.Error()) > 200 {
					t.Errorf("an error of %d bytes", len(err.Error()))
				}
				continue
			}
			if m.Kind == unknown || len(m.ID) > maxID {
				t.Errorf("%q was let through as %+v", text, m)
			}
			_, _ = Credentials(m.Payload)
			if m.Kind != Subscribe {
				continue
			}
			_, _ = Operation(gqlrequest.Usual(), m.Payload)
		}
	})
}
