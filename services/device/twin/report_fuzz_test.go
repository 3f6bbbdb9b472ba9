package twin

import (
	"encoding/json"
	"testing"

	"github.com/sluicehq/sluice/internal/errs"
)

func FuzzConfigReports(f *testing.F) {
	for _, seed := range []string{`{"version":1,"reported":{}}`, `{}`, `[`, `{"version":1e9,"reported":null}`, ` { "version" : 0, "reported" : {"a":[1]} } `} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		version, reported, err := parseReport(payload)
		if err != nil {
			if errs.From(err).Code != errs.InvalidArgument {
				t.Errorf("%q comes again: %v", payload, err)
			}
			return
		}
		var object map[string]any
		if version < 0 || json.Unmarshal([]byte(reported), &object) != nil {
			t.Errorf("%q is read as %d %q", payload, version, reported)
		}
	})
}
