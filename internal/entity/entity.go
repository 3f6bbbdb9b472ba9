// Package entity describes each entity once: its kind, the prefix of its ids, its service, and who sees it. Services
// fill Facts from domain types, the gateway from views. Both use Sees, so a read through the service, a cached
// response and an event of a subscription follow one rule. A store narrows its SQL by Visibility, and its storetest
// compares the rows with Sees. A kind without a row is visible to no caller.
package entity

import (
	"slices"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/ids"
)

// Kind is the kind of an entity, also in the subjects of events.
type Kind string

// The kinds.
const (
	Account  Kind = "account"
	APIKey   Kind = "apikey"
	Session  Kind = "session"
	Device   Kind = "device"
	Command  Kind = "command"
	LogLine  Kind = "commandlog" // a line that a device logs while it runs a command
	Trip     Kind = "trip"
	Job      Kind = "job"
	Activity Kind = "activity"
)

// Entity describes one kind of entity.
type Entity struct {
	Kind    Kind
	IDs     ids.Kind // prefix of its ids; "" without an id
	Service string   // the name in internal/catalog

	owner       owner
	public      bool                     // an entity with the fact Public is visible to every caller
	publicKinds []string                 // entities of these kinds are visible to every caller
	made        bool                     // an API key sees only those that it made
	limited     bool                     // the device labels of an API key limit it
	all         func(caller.Caller) bool // who sees every entity; nil for staff
}

// owner is whose entities a caller sees who does not see all of them.
type owner int

const (
	noOwner     owner = iota
	ofAccount         // of the caller's account
	ofPrincipal       // of the caller itself: the API key, or else the account
)

// entities is never written.
var entities = []Entity{
	{Kind: Account, IDs: ids.Account, Service: catalog.Account, owner: ofAccount},
	{Kind: APIKey, IDs: ids.APIKey, Service: catalog.Account, owner: ofAccount, made: true, all: caller.Caller.Administers},
	{Kind: Session, IDs: ids.Session, Service: catalog.Account},
	{Kind: Device, IDs: ids.Device, Service: catalog.Device, publicKinds: []string{"VEHICLE"}, limited: true},
	{Kind: Command, IDs: ids.Command, Service: catalog.Device, limited: true},
	{Kind: LogLine, Service: catalog.Device, limited: true},
	{Kind: Trip, IDs: ids.Trip, Service: catalog.Trip, owner: ofAccount},
	{Kind: Job, IDs: ids.Job, Service: catalog.Job, owner: ofPrincipal},
	{Kind: Activity, IDs: ids.Activity, Service: catalog.Activity, owner: ofAccount, public: true},
}

// All returns all entities.
func All() []Entity { return slices.Clone(entities) }

// Find returns the entity of the kind.
func Find(kind Kind) (Entity, bool) {
	i := slices.IndexFunc(entities, func(e Entity) bool { return e.Kind == kind })
	if i < 0 {
		return Entity{}, false
	}
	return entities[i], true
}

// Facts are what the visibility of one entity depends on. Missing facts are zero.
type Facts struct {
	Owner  string            // the owning account or API key
	Public bool              // belongs to no account and is for all
	Kind   string            // such as VEHICLE for a device
	Labels map[string]string // of the device that it is or belongs to; nil when they are unknown
	Makers []string          // the API keys that made it, directly or through keys that they made

	Audience *Audience // of an event; nil for everyone who sees the entity
}

// Audience is who receives an event that carries an entity as some callers see it: those who see every entity, or
// one account, or else everyone but these and the excluded accounts.
type Audience struct {
	Staff    bool
	Account  string
	Excluded []string
}

func (a *Audience) contains(v Visibility) bool {
	switch {
	case a == nil:
		return true
	case a.Staff:
		return v.All
	case a.Account != "":
		return !v.All && v.Account == a.Account
	}
	return !v.All && !slices.Contains(a.Excluded, v.Account)
}

// Sees reports whether the entity exists for the caller. An invisible entity has the same response as a missing one.
func (k Kind) Sees(who caller.Caller, facts Facts) bool { return k.Visibility(who).Sees(facts) }

// Visibility returns the part of the kind that the caller sees.
func (k Kind) Visibility(who caller.Caller) Visibility {
	e, ok := Find(k)
	if !ok {
		return Visibility{}
	}
	if e.made && who.APIKeyID != "" {
		return Visibility{Maker: who.APIKeyID}
	}
	v := Visibility{Public: e.public, Kinds: e.publicKinds, Account: who.AccountID}
	if e.limited {
		v.Labels = who.DeviceLabels
	}
	if e.all != nil {
		v.All = e.all(who)
	} else {
		v.All = who.Staff()
	}
	if len(who.DeviceLabels) > 0 && !e.limited { // whose entity it is may tell of other devices
		v.All = false
	}
	switch {
	case v.All:
	case e.owner == ofAccount:
		v.Owner = who.AccountID
	case e.owner == ofPrincipal:
		v.Owner = who.Name()
	}
	return v
}

// Visibility is the part of a kind that a caller sees, as data for a SQL condition. The zero Visibility is empty.
type Visibility struct {
	All    bool              // every entity
	Owner  string            // the entities of this owner; "" for none
	Public bool              // public entities
	Kinds  []string          // the entities of these kinds
	Labels map[string]string // of all these, only those with every one of these labels
	Maker  string            // only the entities that this API key made; "" for no such limit

	Account string // the account of the caller, by which an Audience selects
}

// Sees reports whether the entity with the facts is visible.
func (v Visibility) Sees(facts Facts) bool {
	for name, value := range v.Labels {
		if got, ok := facts.Labels[name]; !ok || got != value {
			return false
		}
	}
	if !facts.Audience.contains(v) {
		return false
	}
	if v.Maker != "" {
		return slices.Contains(facts.Makers, v.Maker)
	}
	return v.All || v.Owner != "" && facts.Owner == v.Owner || v.Public && facts.Public || slices.Contains(v.Kinds, facts.Kind)
}

// OwnerOnly returns the owner to which a store narrows a kind that only owners and staff see; "" for all. ok is false
// if the caller sees none.
func (v Visibility) OwnerOnly() (owner string, ok bool) { return v.Owner, v.All || v.Owner != "" }
