package cache

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
)

// responses keeps whole answers, under the tags of the kinds that they were made of.
type responses struct {
	cache *Cache
	form  *read[response] // how they stand in Redis
	tags  []string        // of everything, then of each kind
}

// response is an answer as it is kept.
type response struct {
	Data   []byte
	Points int
	Kinds  int // a bit for each
}

var _ bff.Responses = (*responses)(nil)

// wholeAnswers names them in metrics.
const wholeAnswers = "Responses"

// Responses keeps whole answers.
func (c *Cache) Responses() bff.Responses {
	r := &responses{cache: c, form: newRead[response](c, wholeAnswers, false, nil), tags: []string{everything}}
	for _, kind := range kinds() {
		r.tags = append(r.tags, string(kind))
	}
	return r
}

// Find gives the answer that is kept, or one that is being made, or what takes the next one.
func (r *responses) Find(ctx context.Context, key bff.ResponseKey) (*bff.KeptResponse, bff.Making) {
	who := caller.FromContext(ctx)
	name, known := nameOf(key, who)
	if !known || r.cache.closed.Load() {
		return nil, nil
	}
	l := &sought{responses: r, name: name, private: key.Private && !who.Staff()}
	e, here := r.inMemory(name)
	var wanted []string
	if !here && !r.cache.alone {
		wanted = []string{name}
	}
	versions, values, err := r.cache.versions.look(r.tags, wanted)
	if err != nil || !versions[0].settled() {
		r.form.uses.count(bff.CacheUse{Bypassed: 1})
		return nil, nil
	}
	l.versions = versions
	if len(values) > 0 {
		e = r.form.decode(name, values[0])
	}
	if found := r.good(e, versions); found != nil {
		found.Tier = r.note(name, e, here)
		return found, nil
	}
	if found := l.join(ctx); found != nil {
		r.form.uses.count(bff.CacheUse{Coalesced: 1})
		return found, nil
	}
	r.form.uses.count(bff.CacheUse{Missed: 1})
	return nil, l
}

// sought is an answer that is not there: it is being made.
type sought struct {
	*responses
	name     string
	private  bool // for its caller alone, to whom it is to be shown again before others keep it
	versions []version
	leads    bool // equal requests wait for it
	here     flight[response]
}

// key is an equal request: by who sees the same, and after the same writes.
func (l *sought) key() (key flightKey, settled bool) {
	s, settled := joint(l.versions, 1<<len(kinds())-1)
	return flightKey{start: l.name, own: s}, settled
}

// rounds is how often a request waits for others whose callers go away.
const rounds = 3

// join waits for an equal answer that is being made, or lets others wait for this one. Whoever has waited
// for one that cannot be shown to others makes its own beside others who do so, and not after them.
func (l *sought) join(ctx context.Context) *bff.KeptResponse {
	key, settled := l.key()
	if !settled {
		return nil
	}
	for range rounds {
		other := l.lead(key)
		if other == nil {
			return nil
		}
		select {
		case <-other.of.done:
		case <-ctx.Done():
			return nil
		}
		e, _ := l.inMemory(l.name)
		if found := l.good(e, l.versions); found != nil {
			found.Tier = bff.TierCoalesced
			return found
		}
		if other.of.err == nil {
			return nil
		}
	}
	return nil
}

// lead makes this the request that others wait for, unless there is one.
func (l *sought) lead(key flightKey) (other *flight[response]) {
	l.form.mu.Lock()
	defer l.form.mu.Unlock()
	if other, underWay := l.form.flights[key]; underWay {
		return other
	}
	l.here.of = &journey{done: make(chan struct{})}
	l.form.flights[key] = &l.here
	l.leads = true
	return nil
}

// End lets those go on who wait.
func (l *sought) End(ctx context.Context) {
	if !l.leads {
		return
	}
	l.leads = false
	l.here.of.err = ctx.Err()
	key, _ := l.key()
	l.form.mu.Lock()
	delete(l.form.flights, key)
	l.form.mu.Unlock()
	close(l.here.of.done)
}

// nameOf is the key of an answer. An answer to its caller alone is kept for that caller, not for all
// who see the same: it may show who they are.
func nameOf(key bff.ResponseKey, who caller.Caller) (name string, known bool) {
	right := "public"
	if key.Private {
		if right, known = sight(itself).rightOf(who); !known {
			return "", false
		}
	}
	variables := []byte("{}")
	if len(key.Variables) > 0 {
		var err error
		if variables, err = json.Marshal(key.Variables); err != nil {
			return "", false
		}
	}
	text := make([]byte, 0, 256)
	text = append(text, key.Document[:]...)
	for _, part := range []string{key.Operation, right, string(variables)} {
		text = append(append(text, part...), 0)
	}
	sum := sha256.Sum256(text)
	return wholeAnswers + " " + string(sum[:]), true
}

// itself is for what is of one caller.
func itself(who caller.Caller) (string, bool) {
	return string(who.Role) + " " + who.Name(), who.Known()
}

func (r *responses) good(e *entry, versions []version) *bff.KeptResponse {
	if e == nil {
		return nil
	}
	kept, ok := e.value.(response)
	left := e.until.Sub(r.cache.options.Clock.Now())
	if !ok || left <= 0 {
		return nil
	}
	want, settled := joint(versions, kept.Kinds)
	if !r.cache.options.blind && (!settled || e.stamp != want) {
		return nil
	}
	return &bff.KeptResponse{Data: kept.Data, Points: kept.Points, Life: left}
}

// joint is the stamp of what was made of several kinds; settled is false when one of them is being
// written.
func joint(versions []version, kinds int) (s stamp, settled bool) {
	text := make([]byte, 0, 16*8)
	for i, v := range versions[1:] {
		if kinds&(1<<i) == 0 {
			continue
		}
		if !v.settled() {
			return stamp{}, false
		}
		text = v.append(text)
	}
	sum := sha256.Sum256(text)
	return stamp{versions[0], versionOf(sum[:])}, versions[0].settled()
}

// Keep keeps an answer that was made after the versions were looked at.
func (l *sought) Keep(reads *bff.Reads, made bff.KeptResponse) {
	r := l.responses
	of, known := reads.Entities()
	if !known {
		return
	}
	value := response{Data: made.Data, Points: made.Points}
	for _, kind := range of {
		i := slices.Index(kinds(), kind)
		if i < 0 {
			return
		}
		value.Kinds |= 1 << i
	}
	s, settled := joint(l.versions, value.Kinds)
	if !settled {
		return
	}
	e := &entry{value: value, stamp: s, until: r.cache.options.Clock.Now().Add(made.Life), size: len(value.Data)}
	if e.size > r.cache.options.Largest {
		r.cache.metrics.notKept(tooLarge)
		return
	}
	r.cache.keep(l.name, true, []item{{"", e}})
	if !l.private {
		r.tell(l.name, e)
	}
}

// tell keeps an answer for all gateways.
func (r *responses) tell(name string, e *entry) {
	value, ok := e.value.(response)
	if !ok || r.cache.alone || r.cache.closed.Load() || e.told.Swap(true) {
		return
	}
	r.cache.versions.put(r.form.encoded(nil, name, e, value, r.cache.options.Clock.Now()))
}

func (r *responses) inMemory(name string) (*entry, bool) {
	var found [1]*entry
	r.cache.kept(name, true, []string{""}, found[:])
	return found[0], found[0] != nil
}

// note counts an answer that was found. What is of one caller goes to all gateways when it is asked for
// again.
func (r *responses) note(name string, e *entry, here bool) bff.Tier {
	if here {
		r.form.uses.count(bff.CacheUse{Memory: 1})
		r.tell(name, e)
		return bff.TierMemory
	}
	r.form.uses.count(bff.CacheUse{Redis: 1})
	e.told.Store(true)
	r.cache.keep(name, true, []item{{"", e}})
	return bff.TierRedis
}
