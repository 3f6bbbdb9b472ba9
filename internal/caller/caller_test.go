package caller_test

import (
	"context"
	"reflect"
	"testing"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

func TestRequire(t *testing.T) {
	t.Parallel()
	key := caller.Caller{AccountID: "account_1", APIKeyID: "apikey_1", Role: caller.Admin, Scopes: []string{caller.TripRead}}
	cases := []struct {
		name  string
		who   caller.Caller
		scope string
		want  errs.Code
	}{
		{"nobody may do nothing", caller.Caller{}, caller.TripRead, errs.Unauthenticated},
		{"a member may rent", caller.Caller{Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)}, caller.TripWrite, ""},
		{"a member may not schedule", caller.Caller{Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)}, caller.JobWrite, errs.PermissionDenied},
		{"an operator may schedule", caller.Caller{Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)}, caller.JobWrite, ""},
		{"an operator may not register", caller.Caller{Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)}, caller.DeviceWrite, errs.PermissionDenied},
		{"a key may do what it was given", key, caller.TripRead, ""},
		{"a key has no more than it was given", key, caller.TripWrite, errs.PermissionDenied},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := caller.Require(caller.NewContext(context.Background(), c.who), c.scope)
			var got errs.Code
			if err != nil {
				got = errs.From(err).Code
			}
			if got != c.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOwnership(t *testing.T) {
	t.Parallel()
	member := caller.Caller{AccountID: "account_1", Role: caller.Member}
	if !member.MayActFor("account_1") || member.MayActFor("account_2") || member.MayActFor("") {
		t.Error("a member acts for its own account alone")
	}
	if (caller.Caller{}).MayActFor("") {
		t.Error("nobody acts for somebody")
	}
	if operator := (caller.Caller{AccountID: "account_3", Role: caller.Operator}); !operator.MayActFor("account_1") {
		t.Error("staff act for others")
	}
}

func TestWhoAdministers(t *testing.T) {
	t.Parallel()
	for role, want := range map[caller.Role]bool{caller.Admin: true, caller.System: true, caller.Operator: false, caller.Member: false, "": false} {
		if got := (caller.Caller{Role: role}).Administers(); got != want {
			t.Errorf("%q: %t", role, got)
		}
	}
}

func TestACallerTravelsAsText(t *testing.T) {
	t.Parallel()
	for name, who := range map[string]caller.Caller{
		"an API key":                {AccountID: "acc_1", APIKeyID: "key_1", Role: caller.Member, Scopes: []string{caller.TripRead}, DeviceLabels: map[string]string{"site": "north"}},
		"an API key without scopes": {AccountID: "acc_1", APIKeyID: "key_1", Role: caller.Admin},
		"a role":                    {AccountID: "acc_1", SessionID: "s", Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)},
		"the system":                caller.OfSystem(),
	} {
		text, err := caller.Encoded(caller.NewContext(t.Context(), who))
		if err != nil || !reflect.DeepEqual(caller.Decode(text), who) {
			t.Errorf("%s: %q is %+v, %v", name, text, caller.Decode(text), err)
		}
		if who.APIKeyID == "" && len(text) > 100 {
			t.Errorf("%s: %q has %d bytes, in each call", name, text, len(text))
		}
	}
	for name, ctx := range map[string]context.Context{"nobody": t.Context(), "an empty caller": caller.NewContext(t.Context(), caller.Caller{})} {
		if text, err := caller.Encoded(ctx); text != "" || err != nil {
			t.Errorf("%s is %q, %v", name, text, err)
		}
	}
	if got := caller.Decode(`{"Role":`); got.Known() {
		t.Errorf("half a text is %+v", got)
	}
}
