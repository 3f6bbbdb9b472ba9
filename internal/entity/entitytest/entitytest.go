// Package entitytest has callers and facts for tests that compare the visibility of services, stores, the cache and
// subscriptions with the rule of internal/entity, for all pairs.
package entitytest

import (
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/ids"
)

// Fixtures are callers and their ids.
type Fixtures struct {
	Account, OtherAccount string
	APIKey                string // of Account
	Callers               map[string]caller.Caller
}

// New returns fixtures with fresh ids.
func New() Fixtures {
	f := Fixtures{Account: ids.New(ids.Account), OtherAccount: ids.New(ids.Account), APIKey: ids.New(ids.APIKey)}
	as := func(role caller.Role, account, key string, labels map[string]string) caller.Caller {
		return caller.Caller{Role: role, AccountID: account, APIKeyID: key, Scopes: caller.ScopesOf(role), DeviceLabels: labels}
	}
	north := map[string]string{"site": "north"}
	f.Callers = map[string]caller.Caller{
		"member":               as(caller.Member, f.Account, "", nil),
		"API key of a member":  as(caller.Member, f.Account, f.APIKey, nil),
		"limited member key":   as(caller.Member, f.Account, f.APIKey, north),
		"member, no account":   as(caller.Member, "", "", nil),
		"operator":             as(caller.Operator, f.Account, "", nil),
		"admin":                as(caller.Admin, f.Account, "", nil),
		"limited operator key": as(caller.Operator, f.Account, f.APIKey, north),
		"system":               caller.OfSystem(),
	}
	return f
}

// Facts returns facts of every combination that visibility depends on. The owner "" means public.
func (f Fixtures) Facts() []entity.Facts {
	var all []entity.Facts
	for _, owner := range []string{"", f.Account, f.OtherAccount, f.APIKey} {
		for _, kind := range []string{"VEHICLE", "CAMERA"} {
			for _, labels := range []map[string]string{nil, {"site": "north", "floor": "1"}, {"site": "south"}} {
				all = append(all, entity.Facts{Owner: owner, Public: owner == "", Kind: kind, Labels: labels})
			}
		}
	}
	return all
}
