// Package entity describes each entity of Sluice once: its kind, the prefix of its ids, the service that owns
// it, and who sees it.
//
// Services fill Facts from their domain types, and the gateway fills them from its views. Both ask Sees, so a
// read through the service, a cached response and an event of a subscription follow one rule. A store narrows
// its SQL by Visibility, and its storetest compares the rows with Sees. The package imports no protobuf and no
// views. A kind without a row is visible to no caller.
package entity

import (
	"slices"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/ids"
)

// Kind is the kind of an entity, as the subjects of events name it.
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
	IDs     ids.Kind // the prefix of its ids; "" for an entity without an id
	Service string   // the name in internal/catalog

	owner       owner
	public      bool                     // an entity with the fact Public is visible to every caller
	publicKinds []string                 // entities of these kinds are visible to every caller
	limited     bool                     // the device labels of an API key limit it
	all         func(caller.Caller) bool // who sees every entity; nil for staff
}

// owner states whose entities a caller sees who does not see all of them.
type owner int

const (
	noOwner     owner = iota
	ofAccount         // the account of the caller owns it
	ofPrincipal       // the caller itself owns it: the API key, or else the account
)

// entities is the one table of entities. It is never written.
var entities = []Entity{
	{Kind: Account, IDs: ids.Account, Service: catalog.Account, owner: ofAccount},
	{Kind: APIKey, IDs: ids.APIKey, Service: catalog.Account, owner: ofAccount, all: caller.Caller.Administers},
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

// Facts is what the visibility of one entity depends on. Facts that an entity does not have are zero.
type Facts struct {
	Owner  string            // the id of the account, or of the API key, that owns it
	Public bool              // it belongs to no account and is for all
	Kind   string            // such as VEHICLE for a device
	Labels map[string]string // of the device that it is or belongs to; nil when they are unknown
}

// Sees reports whether the entity with the facts exists for the caller. What a caller does not see is answered
// exactly like an entity that does not exist.
func (k Kind) Sees(who caller.Caller, facts Facts) bool { return k.Visibility(who).Sees(facts) }

// Visibility returns the part of the kind that the caller sees.
func (k Kind) Visibility(who caller.Caller) Visibility {
	e, ok := Find(k)
	if !ok {
		return Visibility{}
	}
	v := Visibility{Public: e.public, Kinds: e.publicKinds}
	if e.limited {
		v.Labels = who.DeviceLabels
	}
	if e.all != nil {
		v.All = e.all(who)
	} else {
		v.All = who.Staff()
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

// Visibility is the part of the entities of one kind that a caller sees, as data from which a store makes its
// SQL condition. The zero Visibility contains nothing.
type Visibility struct {
	All    bool              // every entity
	Owner  string            // the entities of this owner; "" for none
	Public bool              // public entities
	Kinds  []string          // the entities of these kinds
	Labels map[string]string // of all these, only those with every one of these labels
}

// Sees reports whether the entity with the facts is visible.
func (v Visibility) Sees(facts Facts) bool {
	for name, value := range v.Labels {
		if got, ok := facts.Labels[name]; !ok || got != value {
			return false
		}
	}
	return v.All || v.Owner != "" && facts.Owner == v.Owner || v.Public && facts.Public || slices.Contains(v.Kinds, facts.Kind)
}

// OwnerOnly returns the owner to which a store narrows the entities of a kind that only owners and staff see: ""
// when the caller sees all of them. ok is false when the caller sees none.
func (v Visibility) OwnerOnly() (owner string, ok bool) { return v.Owner, v.All || v.Owner != "" }
