// Package policy states what the cache does with each method of each port, which callers share a cached response, and
// which tags a write invalidates. Two callers share a cached response only if they see the same entities: the right
// of the caller is part of each key. A caller whose right is unknown bypasses the cache.
package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
)

// AbsentTTL is the TTL of the fact that an entity does not exist.
const AbsentTTL = 5 * time.Second

// MaxIDBytes bounds the ids that are cached.
const MaxIDBytes = 100

// Rule is what the cache does with one method: see bff/entity.
type Rule struct {
	bffentity.Method
	Kind entity.Kind // what the method reads or writes
}

// Rules returns the rule of each method of each port.
func Rules() map[string]Rule {
	rules := map[string]Rule{}
	for _, row := range bffentity.Rows() {
		for _, m := range row.Methods {
			rules[m.Name] = Rule{m, row.Kind}
		}
	}
	return rules
}

// Kinds returns the kinds of cached entities.
func Kinds() []entity.Kind { return bffentity.CachedKinds }

// Rights that many callers share.
const (
	staffRight  = "staff"
	memberRight = "member"
)

// RightOf returns the right of a caller to read with this rule. known is false for a caller without the scope, or
// with an unknown right.
func (r Rule) RightOf(who caller.Caller) (right string, known bool) {
	if !who.Has(r.Scope) {
		return "", false
	}
	return rightOf(r.Kind, who)
}

// rightOf returns an equal text for callers who see the same entities of the kind, by internal/entity: staff see all
// entities, and others their own or, where entities have no owner, the same part.
func rightOf(kind entity.Kind, who caller.Caller) (right string, known bool) {
	if who.APIKeyID != "" {
		return keyRight(who)
	}
	visible := kind.Visibility(who)
	switch {
	case visible.All:
		return staffRight, true
	case visible.Owner != "":
		return visible.Owner, true
	}
	return memberRight, who.Known() && len(visible.Kinds) > 0
}

// OwnRight returns a right that no other caller shares.
func OwnRight(who caller.Caller) (right string, known bool) {
	if who.APIKeyID != "" {
		return keyRight(who)
	}
	return string(who.Role) + " " + who.Name(), who.Known()
}

// keyRight returns the right of an API key. Its limits differ from those of its account, so it shares no response.
func keyRight(who caller.Caller) (right string, known bool) {
	who.SessionID, who.PointsPerMinute, who.ExpiresAt = "", 0, time.Time{} // irrelevant to services
	text, err := json.Marshal(who)
	if err != nil {
		return "", false
	}
	sum := sha256.Sum256(text)
	return "key " + hex.EncodeToString(sum[:16]), true
}

// IsPrivate reports whether only one caller has the right.
func IsPrivate(right string) bool { return right != staffRight && right != memberRight }

// TagAll is the tag of every entry.
const TagAll = "all"

// EntityTag returns the tag of one entity. The tag of a kind is its name.
func EntityTag(kind entity.Kind, id string) string { return string(kind) + " " + id }

// Tags returns the tags that a change of the entities invalidates: of the kind, and of the entities.
func Tags(kind entity.Kind, ids ...string) []string {
	tags := []string{string(kind)}
	for _, id := range ids {
		if id != "" && len(id) <= MaxIDBytes {
			tags = append(tags, EntityTag(kind, id))
		}
	}
	return tags
}

// IsTag reports whether the text is a tag of a kind or of an entity.
func IsTag(text string) bool {
	kind, id, _ := strings.Cut(text, " ")
	return slices.Contains(Kinds(), entity.Kind(kind)) && len(id) <= MaxIDBytes
}
