package webhook

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/services/job"
)

const whole = `{"url":"https://hooks.example.org/services/T0/B0/s3cr3t-path","headers":{"Authorization":"Bearer s3cr3t-token"},"body":{"n":1.10}}`

func TestMaskShowsTheHostAndTheBodyOnly(t *testing.T) {
	t.Parallel()
	k := New(Options{})
	want := `{"url":"https://hooks.example.org/********","headers":{"Authorization":"********"},"body":{"n":1.10}}`
	if got := k.Mask(whole); got != want || k.Mask(got) != want {
		t.Errorf("masked %s, again %s", got, k.Mask(got))
	}
	for _, url := range []string{"https://hooks.example.org", "https://hooks.example.org/"} {
		if got := k.Mask(`{"url":"` + url + `"}`); !strings.Contains(got, `"`+url+`"`) {
			t.Errorf("%s: %s", url, got)
		}
	}
}

func TestUnmaskPutsSecretsBackForTheSameHostOnly(t *testing.T) {
	t.Parallel()
	k := New(Options{})
	masked := k.Mask(whole)
	for name, c := range map[string]struct{ given, former, want string }{
		"as shown":                  {masked, whole, whole},
		"another body":              {strings.Replace(masked, "1.10", "2", 1), whole, strings.Replace(whole, "1.10", "2", 1)},
		"another path":              {strings.Replace(masked, "/********", "/other", 1), whole, strings.Replace(whole, "/services/T0/B0/s3cr3t-path", "/other", 1)},
		"another name's case":       {strings.Replace(masked, "Authorization", "authorization", 1), whole, strings.Replace(whole, "Authorization", "authorization", 1)},
		"all anew":                  {whole, strings.ReplaceAll(whole, "s3cr3t", "old"), whole},
		"another host":              {strings.Replace(masked, "hooks.example.org/********", "evil.example.net/", 1), whole, ""},
		"the mask at another host":  {strings.Replace(masked, "hooks", "evil", 1), whole, ""},
		"another scheme":            {strings.Replace(strings.Replace(masked, "/********", "/x", 1), "https", "http", 1), whole, ""},
		"a header that was not set": {strings.Replace(masked, "Authorization", "X-Key", 1), whole, ""},
		"a new job":                 {masked, "", ""},
	} {
		got, err := k.Unmask(c.given, c.former)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

// A receiver that echoes what it was sent, in whatever form, does not bring secrets into the result.
func TestSecretsThatAReceiverRepeatsAreMasked(t *testing.T) {
	t.Parallel()
	const token, password, path, quoted = "tok-0123456789", "pass\u00fcword-\"x\"", "/hook/p4th-secret?key=qu3ry/secret", "wei\"rd-s3cret"
	basic := base64.StdEncoding.EncodeToString([]byte("user:" + password))
	for _, filler := range []int{0, 4090, 4100, 9000} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, strings.Repeat("x", filler), r.URL, " ", r.URL.Query().Get("key"), r.URL.Query().Encode(), fmt.Sprintf(" %q ", r.Header), r.Header, " ", token, password)
		}))
		payload := fmt.Sprintf(`{"url":%q,"headers":{"Authorization":"Bearer %s","X-Basic":"Basic %s","X-Quoted":%q}}`, server.URL+path, token, basic, quoted)
		result, err := New(Options{AllowPrivate: true}).Run(t.Context(), job.Task{Payload: payload})
		server.Close()
		for _, secret := range []string{token, password, basic, "p4th-secret", "qu3ry/secret", "qu3ry%2Fsecret", "s3cret", "tok-01234"} {
			if strings.Contains(result+fmt.Sprint(err), secret) {
				t.Errorf("after %d bytes %s is in %s, %v", filler, secret, result, err)
			}
		}
		if !strings.Contains(result, "418") || len(result) > maxAnswer+200 {
			t.Errorf("%d bytes: %.100s", len(result), result)
		}
	}
}
