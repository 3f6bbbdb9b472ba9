package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
)

// use is what the cache does about a method of a port.
type use = bffentity.CacheUse

const (
	never  = bffentity.Bypass
	keeps  = bffentity.Cached
	writes = bffentity.Invalidates
)

// row is what is done about one method; bff/entity describes the methods with their entity.
type row struct {
	method string // "Devices.GetDevices"
	use    use
	of     entity.Kind   // what is read or written
	scope  string        // without it a caller is refused, by the service
	sight  sight         // who sees the same
	keep   time.Duration // how long an answer is good for when nothing ends it earlier
	note   string        // why
}

// brief is how long it is kept that there is nothing.
const brief = 5 * time.Second

// ticking is how long a trip that is under way is kept: its fee and duration are of the moment.
const ticking = bffentity.InProgressTTL

// table is everything that is kept and everything that ends it: one row for each method of each port.
func table() []row {
	var rows []row
	for _, described := range bffentity.Rows() {
		for _, m := range described.Methods {
			rows = append(rows, row{m.Name, m.Use, described.Kind, m.Scope, sightOf(described.Kind), m.TTL, m.Reason})
		}
	}
	return rows
}

// kinds are the entities of the table.
func kinds() []entity.Kind { return bffentity.CachedKinds }

// sight tells callers who see different things apart: those with the same text see the same. It
// mirrors the rule of the service that answers; known is false for those whom the service refuses, or
// for whom this cannot be told. It is asked of who has signed in: API keys are limited in more ways,
// and share nothing but with themselves.
type sight func(who caller.Caller) (right string, known bool)

// rightOf is the caller's right to see, as a part of keys.
func (s sight) rightOf(who caller.Caller) (right string, known bool) {
	if who.APIKeyID == "" {
		return s(who)
	}
	who.SessionID, who.PointsPerMinute, who.ExpiresAt = "", 0, time.Time{} // these are for the gate, not for services
	text, err := json.Marshal(who)
	if err != nil {
		return "", false
	}
	sum := sha256.Sum256(text)
	return "key " + hex.EncodeToString(sum[:16]), true
}

// Rights of many.
const (
	staff   = "staff"
	members = "member"
)

// private tells whether the right is of one caller alone.
func private(right string) bool { return right != staff && right != members }

// sightOf is the sight of the callers of a kind, by the rule of internal/entity: staff see all, and others their own
// or, where entities have no owner, the same part.
func sightOf(kind entity.Kind) sight {
	return func(who caller.Caller) (string, bool) {
		visible := kind.Visibility(who)
		switch {
		case visible.All:
			return staff, true
		case visible.Owner != "":
			return visible.Owner, true
		}
		return members, who.Known() && len(visible.Kinds) > 0
	}
}
