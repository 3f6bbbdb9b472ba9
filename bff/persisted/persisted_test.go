package persisted_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/persisted"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

const (
	trustedText = "query Trips { trips { totalCount } }"
	otherText   = "{ viewer { scopes } }"
)

func open(t testing.TB, change func(*persisted.Options)) *persisted.Documents {
	t.Helper()
	store, err := persisted.NewMemory(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	options := persisted.Options{Trusted: map[string]string{"trips-1": trustedText}, Persisted: store}
	if change != nil {
		change(&options)
	}
	return persisted.New(options)
}

func as(t testing.TB, who caller.Caller) context.Context {
	t.Helper()
	return caller.NewContext(t.Context(), who)
}

var (
	nobody = caller.Caller{}
	alice  = caller.Caller{AccountID: "account_1", SessionID: "session_1", Role: caller.Member}
	key    = caller.Caller{AccountID: "account_1", APIKeyID: "apikey_1", Role: caller.Member}
)

func TestFindReturnsDocumentOrReason(t *testing.T) {
	t.Parallel()
	h := persisted.Hash
	registered := open(t, nil)
	registered.Save(as(t, alice), bff.Document{Text: otherText, ID: h(otherText), Fresh: true})
	only := open(t, func(o *persisted.Options) { o.OnlyTrusted = true })
	none := open(t, func(o *persisted.Options) { o.Persisted, o.Trusted = nil, nil })
	for _, c := range []struct {
		name      string
		documents *persisted.Documents
		who       caller.Caller
		asked     bff.DocumentName
		want      bff.Document
		reason    string
	}{
		{"a text", registered, nobody, bff.DocumentName{Text: otherText}, bff.Document{Text: otherText}, ""},
		{"a hash", registered, nobody, bff.DocumentName{Hash: h(otherText)}, bff.Document{Text: otherText, ID: h(otherText)}, ""},
		{"a hash in capitals", registered, nobody, bff.DocumentName{Hash: strings.ToUpper(h(otherText))}, bff.Document{Text: otherText, ID: h(otherText)}, ""},
		{"a hash as an id", registered, nobody, bff.DocumentName{ID: "sha256:" + h(otherText)}, bff.Document{Text: otherText, ID: h(otherText)}, ""},
		{"a text with its hash", registered, nobody, bff.DocumentName{Text: "{ a }", Hash: h("{ a }")}, bff.Document{Text: "{ a }", ID: h("{ a }"), Fresh: true}, ""},
		{"a text with another hash", registered, nobody, bff.DocumentName{Text: "{ a }", Hash: h(otherText)}, bff.Document{}, "PERSISTED_QUERY_MISMATCH"},
		{"a hash that nobody registered", registered, nobody, bff.DocumentName{Hash: h("{ a }")}, bff.Document{}, "PERSISTED_QUERY_NOT_FOUND"},
		{"no hash at all", registered, nobody, bff.DocumentName{Hash: "sesame"}, bff.Document{}, "PERSISTED_QUERY_NOT_FOUND"},
		{"an unknown id", registered, nobody, bff.DocumentName{ID: "trips-2"}, bff.Document{}, "PERSISTED_QUERY_NOT_FOUND"},
		{"a trusted id", registered, nobody, bff.DocumentName{ID: "trips-1"}, bff.Document{Text: trustedText, ID: "trips-1", Trusted: true}, ""},
		{"a trusted id in place of a hash", registered, nobody, bff.DocumentName{Hash: "trips-1"}, bff.Document{Text: trustedText, ID: "trips-1", Trusted: true}, ""},
		{"the hash of a trusted document", registered, nobody, bff.DocumentName{Hash: h(trustedText)}, bff.Document{Text: trustedText, ID: "trips-1", Trusted: true}, ""},
		{"the text of a trusted document", registered, nobody, bff.DocumentName{Text: trustedText}, bff.Document{Text: trustedText, ID: "trips-1", Trusted: true}, ""},
		{"a trusted id with another text", registered, nobody, bff.DocumentName{ID: "trips-1", Text: otherText}, bff.Document{}, "PERSISTED_QUERY_MISMATCH"},

		{"only trusted: nobody's text", only, nobody, bff.DocumentName{Text: otherText}, bff.Document{}, "DOCUMENT_NOT_TRUSTED"},
		{"only trusted: a key's text", only, key, bff.DocumentName{Text: otherText}, bff.Document{}, "DOCUMENT_NOT_TRUSTED"},
		{"only trusted: a key's text with its hash", only, key, bff.DocumentName{Text: otherText, Hash: h(otherText)}, bff.Document{}, "DOCUMENT_NOT_TRUSTED"},
		{"only trusted: a key's hash", only, key, bff.DocumentName{Hash: h(otherText)}, bff.Document{}, "DOCUMENT_NOT_TRUSTED"},
		{"only trusted: a key's unknown id", only, key, bff.DocumentName{ID: "trips-2"}, bff.Document{}, "DOCUMENT_NOT_TRUSTED"},
		{"only trusted: a key's trusted id", only, key, bff.DocumentName{ID: "trips-1"}, bff.Document{Text: trustedText, ID: "trips-1", Trusted: true}, ""},
		{"only trusted: a key's trusted text", only, key, bff.DocumentName{Text: trustedText}, bff.Document{Text: trustedText, ID: "trips-1", Trusted: true}, ""},
		{"only trusted: an account's text", only, alice, bff.DocumentName{Text: otherText}, bff.Document{Text: otherText}, ""},

		{"nothing kept: a text", none, nobody, bff.DocumentName{Text: otherText}, bff.Document{Text: otherText}, ""},
		{"nothing kept: a hash", none, nobody, bff.DocumentName{Hash: h(otherText)}, bff.Document{}, "PERSISTED_QUERY_NOT_SUPPORTED"},
		{"nothing kept: a text with its hash", none, nobody, bff.DocumentName{Text: otherText, Hash: h(otherText)}, bff.Document{}, "PERSISTED_QUERY_NOT_SUPPORTED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.documents.Find(as(t, c.who), c.asked)
			var reason string
			if err != nil {
				reason = errs.From(err).Reason
			}
			if got != c.want || reason != c.reason {
				t.Errorf("found %+v, %v; want %+v %s", got, err, c.want, c.reason)
			}
		})
	}
}

// Whoever has not signed in may use what others registered, and registers nothing unless it is allowed.
func TestAnonymousCallerRegistersOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	fresh := bff.Document{Text: otherText, ID: persisted.Hash(otherText), Fresh: true}
	for _, c := range []struct {
		name     string
		byAnyone bool
		who      caller.Caller
		document bff.Document
		kept     bool
	}{
		{"an account", false, alice, fresh, true},
		{"a key", false, key, fresh, true},
		{"nobody", false, nobody, fresh, false},
		{"nobody, where anyone may", true, nobody, fresh, true},
		{"a document that came without its hash", true, alice, bff.Document{Text: otherText}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := open(t, func(o *persisted.Options) { o.ByAnyone = c.byAnyone })
			l.Save(as(t, c.who), c.document)
			if _, err := l.Find(as(t, nobody), bff.DocumentName{Hash: fresh.ID}); (err == nil) != c.kept {
				t.Errorf("found: %v", err)
			}
		})
	}
}

// A flood of documents pushes out others, and takes no more memory than it may.
func TestMemoryAtItsBoundEvicts(t *testing.T) {
	t.Parallel()
	store, err := persisted.NewMemory(100_000)
	if err != nil {
		t.Fatal(err)
	}
	var hashes []string
	for i := range 1000 {
		text := "{ a } #" + strings.Repeat("x", 1000+i)
		hashes = append(hashes, persisted.Hash(text))
		store.Put(t.Context(), persisted.Hash(text), text)
	}
	for deadline := time.Now().Add(time.Minute); ; { // what is too much goes a little later
		kept := 0
		for _, hash := range hashes {
			if text, found := store.Get(t.Context(), hash); found {
				kept += len(text)
			}
		}
		if kept <= 100_000 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are kept", kept)
		}
	}
}

func TestReadManifestAcceptsBothFormatsAndNamesErrors(t *testing.T) {
	t.Parallel()
	fine := func(string) error { return nil }
	sum := persisted.Hash(trustedText)
	quoted, _ := json.Marshal(trustedText)
	for _, c := range []struct {
		name, text string
		check      func(string) error
		want       map[string]string
		says       string
	}{
		{"Apollo's", `{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "` + sum + `", "name": "Trips", "type": "query", "body": ` + string(quoted) + `}]}`,
			fine, map[string]string{sum: trustedText}, ""},
		{"ids and texts", `{"trips-1": ` + string(quoted) + `, "` + sum + `": ` + string(quoted) + `}`, fine, map[string]string{"trips-1": trustedText, sum: trustedText}, ""},
		{"nothing in it", `{}`, fine, map[string]string{}, ""},
		{"no JSON", `trips`, fine, nil, "not a JSON object"},
		{"a list", `[]`, fine, nil, "not a JSON object"},
		{"a number", `{"trips-1": 7}`, fine, nil, `document "trips-1" is not a string`},
		{"another version", `{"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}`, fine, nil, "version 2"},
		{"no operations", `{"format": "apollo-persisted-query-manifest", "version": 1}`, fine, nil, "no operations"},
		{"an id twice", `{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "a", "body": "{ a }"}, {"id": "a", "body": "{ b }"}]}`, fine, nil, `"a" twice`},
		{"an empty id", `{"": "{ a }"}`, fine, nil, "an id must have"},
		{"a hash that is not that of the text", `{"` + persisted.Hash("x") + `": "{ a }"}`, fine, nil, "SHA-256"},
		{"a document that does not fit", `{"a": "{ nothing }"}`, func(string) error { return errors.New("there is no field") }, nil, `document "a": there is no field`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := persisted.ReadManifest([]byte(c.text), c.check)
			switch {
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n")):
				t.Errorf("read %v, %v; want an error of one line with %q", got, err, c.says)
			case c.says == "" && (err != nil || len(got) != len(c.want)):
				t.Errorf("read %v, %v", got, err)
			}
			for id, text := range c.want {
				if got[id] != text {
					t.Errorf("document %q is %q", id, got[id])
				}
			}
		})
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "a", "body": "{ a }"}]}`))
	f.Add([]byte(`{"a": "{ a }"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		trusted, err := persisted.ReadManifest(text, func(string) error { return nil })
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("an error of more than a line: %v", err)
		}
		for id := range trusted {
			if id == "" {
				t.Error("a document without an id")
			}
		}
	})
}
