package live

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/bff"
	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
)

func FuzzEventStreamRequest(f *testing.F) {
	f.Add("text/event-stream", "", "")
	f.Add("text/html, text/event-stream;q=0.9", "AQ", `{"after":7}`)
	f.Add(";;,", "\x00", `{`)
	f.Fuzz(func(t *testing.T, accept, last, after string) {
		r := httptest.NewRequest(http.MethodGet, "/graphql", nil)
		r.Header.Set("Accept", accept)
		r.Header.Set("Last-Event-ID", last)
		params := &graphql.RawParams{}
		if after != "" {
			params.Extensions = map[string]any{"after": after}
		}
		if IsEventStream(r) && !strings.Contains(strings.ToLower(accept), "text/event-stream") {
			t.Errorf("%q wants no event stream", accept)
		}
		if err := useLastEventID(params, r); err != nil {
			t.Error(err)
		}
	})
}

func TestVisibilityFollowsTheRuleOfServices(t *testing.T) {
	t.Parallel()
	member := caller.Caller{Role: caller.Member, AccountID: "a"}
	key := caller.Caller{Role: caller.Member, AccountID: "a", APIKeyID: "k"}
	staff := caller.Caller{Role: caller.Operator, AccountID: "s"}
	limited := caller.Caller{Role: caller.Operator, APIKeyID: "l", DeviceLabels: map[string]string{"site": "north"}}
	of := func(kind entity.Kind, node bff.Node) *eventstream.Event {
		return &eventstream.Event{Event: bff.Event{Entity: kind, Node: node, Facts: bffentity.FactsOf(kind, node)}}
	}
	for name, c := range map[string]struct {
		e    *eventstream.Event
		sees map[string]bool
	}{
		"everybody's activity":  {of(entity.Activity, &bff.Activity{AccountID: ""}), map[string]bool{"member": true, "key": true, "staff": true, "nobody": true}},
		"own activity":          {of(entity.Activity, &bff.Activity{AccountID: "a"}), map[string]bool{"member": true, "key": true, "staff": true}},
		"another's activity":    {of(entity.Activity, &bff.Activity{AccountID: "b"}), map[string]bool{"staff": true}},
		"own trip":              {of(entity.Trip, &bff.Trip{AccountID: "a"}), map[string]bool{"member": true, "key": true, "staff": true}},
		"another's trip":        {of(entity.Trip, &bff.Trip{AccountID: "b"}), map[string]bool{"staff": true}},
		"a vehicle":             {of(entity.Device, &bff.Device{Kind: "VEHICLE"}), map[string]bool{"member": true, "key": true, "staff": true, "nobody": true}},
		"a camera":              {of(entity.Device, &bff.Device{Kind: "CAMERA"}), map[string]bool{"staff": true}},
		"a camera in the north": {of(entity.Device, &bff.Device{Kind: "CAMERA", Labels: map[string]string{"site": "north"}}), map[string]bool{"staff": true, "limited": true}},
		"a camera in the south": {of(entity.Device, &bff.Device{Kind: "CAMERA", Labels: map[string]string{"site": "south"}}), map[string]bool{"staff": true}},
		"a job of the account":  {of(entity.Job, &bff.Job{CreatedBy: "a"}), map[string]bool{"member": true, "staff": true}},
		"a job of the key":      {of(entity.Job, &bff.Job{CreatedBy: "k"}), map[string]bool{"key": true, "staff": true}},
		"a line of a log":       {of(entity.LogLine, &bff.LogLine{}), map[string]bool{"staff": true}},
		"an ended session":      {of(entity.Session, nil), map[string]bool{"staff": true}},
	} {
		for who, s := range map[string]caller.Caller{"member": member, "key": key, "staff": staff, "nobody": {}} {
			if got := visibilityOf(s).sees(c.e); got != c.sees[who] {
				t.Errorf("%s: %s: %v", name, who, got)
			}
		}
		if _, device := c.e.Node.(*bff.Device); device && visibilityOf(limited).sees(c.e) != c.sees["limited"] {
			t.Errorf("%s: limited: %v", name, !c.sees["limited"])
		}
	}
}

func TestOnlyCallersWithEqualVisibilityShareAGroup(t *testing.T) {
	t.Parallel()
	different := map[string]caller.Caller{
		"alice":            {Role: caller.Member, AccountID: "a", Scopes: []string{"x", "y"}},
		"bob":              {Role: caller.Member, AccountID: "b", Scopes: []string{"x", "y"}},
		"fewer scopes":     {Role: caller.Member, AccountID: "a", Scopes: []string{"x"}},
		"a key of alice's": {Role: caller.Member, AccountID: "a", APIKeyID: "k", Scopes: []string{"x", "y"}},
		"an operator":      {Role: caller.Operator, AccountID: "a", Scopes: []string{"x", "y"}},
		"a limited key":    {Role: caller.Operator, DeviceLabels: map[string]string{"site": "north"}},
		"one elsewhere":    {Role: caller.Operator, DeviceLabels: map[string]string{"site": "south"}},
		"an admin":         {Role: caller.Admin, AccountID: "a", Scopes: []string{"x", "y"}},
	}
	keys := map[string]string{}
	for name, who := range different {
		k := visibilityOf(who).key()
		if other, taken := keys[k]; taken {
			t.Errorf("%s and %s share", name, other)
		}
		keys[k] = name
	}
	for name, pair := range map[string][2]caller.Caller{
		"scopes in another order": {{Role: caller.Member, AccountID: "a", Scopes: []string{"x", "y"}}, {Role: caller.Member, AccountID: "a", Scopes: []string{"y", "x"}}},
		"two sessions":            {{Role: caller.Member, AccountID: "a", SessionID: "1"}, {Role: caller.Member, AccountID: "a", SessionID: "2"}},
		"two operators":           {{Role: caller.Operator, AccountID: "a"}, {Role: caller.Operator, AccountID: "b"}},
	} {
		if visibilityOf(pair[0]).key() != visibilityOf(pair[1]).key() {
			t.Errorf("%s do not share", name)
		}
	}
}
