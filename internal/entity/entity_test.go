package entity_test

import (
	"testing"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/entity/entitytest"
)

func TestEntitiesAreDistinctAndOfKnownServices(t *testing.T) {
	t.Parallel()
	seen, owners := map[string]bool{}, map[string]bool{}
	for _, e := range entity.All() {
		if e.Kind == "" || seen[string(e.Kind)] || e.IDs != "" && string(e.IDs) != string(e.Kind) {
			t.Errorf("%+v is described twice, or its ids have another prefix than its kind", e)
		}
		seen[string(e.Kind)] = true
		if _, err := catalog.Find(e.Service); err != nil {
			t.Errorf("%s: %v", e.Kind, err)
		}
		seen[string(e.Kind)], owners[e.Service] = true, true
	}
	for _, s := range catalog.Services() {
		if !owners[s.Name] {
			t.Errorf("the service %s owns no entity", s.Name)
		}
	}
}

func TestSeesFollowsOwnerPublicityKindAndLabels(t *testing.T) {
	t.Parallel()
	f := entitytest.New()
	own, others := entity.Facts{Owner: f.Account}, entity.Facts{Owner: f.OtherAccount}
	north := entity.Facts{Kind: "CAMERA", Labels: map[string]string{"site": "north"}}
	for name, c := range map[string]struct {
		kind  entity.Kind
		facts entity.Facts
		seen  string // the callers that see it: member, key, limited (operator key), operator, admin
	}{
		"own account":       {entity.Account, own, "member key limited operator admin"},
		"another account":   {entity.Account, others, "operator admin"},
		"own API key":       {entity.APIKey, own, "member operator admin"},
		"a made API key":    {entity.APIKey, entity.Facts{Owner: f.Account, Makers: []string{"root", f.APIKey}}, "member key limited operator admin"},
		"another's API key": {entity.APIKey, others, "admin"},
		"a session":         {entity.Session, own, "operator admin"},
		"a vehicle":         {entity.Device, entity.Facts{Kind: "VEHICLE"}, "member key operator admin"},
		"a camera":          {entity.Device, entity.Facts{Kind: "CAMERA"}, "operator admin"},
		"a labelled camera": {entity.Device, north, "limited operator admin"},
		"a command":         {entity.Command, north, "limited operator admin"},
		"a log line":        {entity.LogLine, entity.Facts{}, "operator admin"},
		"own trip":          {entity.Trip, own, "member key limited operator admin"},
		"another's trip":    {entity.Trip, others, "operator admin"},
		"job of account":    {entity.Job, own, "member operator admin"},
		"job of API key":    {entity.Job, entity.Facts{Owner: f.APIKey}, "key limited operator admin"},
		"own activity":      {entity.Activity, own, "member key limited operator admin"},
		"another activity":  {entity.Activity, others, "operator admin"},
		"public activity":   {entity.Activity, entity.Facts{Public: true}, "member key limited operator admin"},
		"an unknown kind":   {"nothing", own, ""},
	} {
		got := ""
		for _, who := range []struct{ short, caller string }{
			{"member", "member"}, {"key", "API key of a member"}, {"limited", "limited operator key"}, {"operator", "operator"}, {"admin", "admin"},
		} {
			if c.kind.Sees(f.Callers[who.caller], c.facts) {
				got += " " + who.short
			}
		}
		if got != "" {
			got = got[1:]
		}
		if got != c.seen {
			t.Errorf("%s is visible to %q, want %q", name, got, c.seen)
		}
	}
}

func TestAnonymousCallerSeesOnlyWhatIsPublic(t *testing.T) {
	t.Parallel()
	for _, e := range entity.All() {
		for _, facts := range entitytest.New().Facts() {
			public := e.Kind == entity.Activity && facts.Public || e.Kind == entity.Device && facts.Kind == "VEHICLE"
			if got := e.Kind.Sees(caller.Caller{}, facts); got != public {
				t.Errorf("%s with %+v: %t", e.Kind, facts, got)
			}
		}
	}
}
