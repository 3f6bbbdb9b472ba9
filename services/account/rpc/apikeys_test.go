package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/account"
	"github.com/sluicehq/sluice/services/account/apikey"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
)

func createRequest(scopes ...string) *accountv1.CreateApiKeyRequest {
	return &accountv1.CreateApiKeyRequest{Name: "reporting", Scopes: scopes}
}

func (h environment) createKey(t *testing.T, ctx context.Context, request *accountv1.CreateApiKeyRequest) *accountv1.CreatedApiKey {
	t.Helper()
	created, err := h.CreateApiKey(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func (h environment) verify(t *testing.T, key string) (*accountv1.ApiKey, error) {
	t.Helper()
	return h.VerifyApiKey(t.Context(), &accountv1.VerifyApiKeyRequest{Key: key})
}

func TestAnAPIKeyFromCreationToRevocation(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	admin := h.login(t, "admin").GetAccount()
	created := h.createKey(t, as(t, admin), createRequest("trip:read", "job:read", "trip:read"))
	key := created.GetApiKey()
	if key.GetAccountId() != admin.GetId() || key.GetRole() != accountv1.Role_ROLE_ADMIN || key.GetPointsPerMinute() != account.DefaultPointsPerMinute ||
		!slices.Equal(key.GetScopes(), []string{"job:read", "trip:read"}) || !strings.HasPrefix(created.GetSecret(), "sluice_"+key.GetPrefix()+"_") {
		t.Fatalf("created %v", key)
	}
	verified, err := h.verify(t, created.GetSecret())
	if err != nil || verified.GetId() != key.GetId() || !verified.GetLastUsedAt().AsTime().Equal(h.clock.Now()) {
		t.Errorf("verified as %v, %v", verified, err)
	}
	rotated, err := h.RotateApiKey(as(t, admin), &accountv1.RotateApiKeyRequest{Id: key.GetId()})
	if err != nil || rotated.GetApiKey().GetId() != key.GetId() || rotated.GetApiKey().GetPrefix() == key.GetPrefix() {
		t.Fatalf("rotated to %v, %v", rotated.GetApiKey(), err)
	}
	_, err = h.verify(t, created.GetSecret())
	refused(t, err, errs.Unauthenticated, account.ReasonAPIKeyUnknown)
	if _, err := h.verify(t, rotated.GetSecret()); err != nil {
		t.Errorf("the new secret: %v", err)
	}
	for range 2 {
		revoked, err := h.RevokeApiKey(as(t, admin), &accountv1.RevokeApiKeyRequest{Id: key.GetId()})
		if err != nil || revoked.GetRevokedAt() == nil {
			t.Fatalf("revoked %v, %v", revoked, err)
		}
	}
	_, err = h.verify(t, rotated.GetSecret())
	refused(t, err, errs.Unauthenticated, account.ReasonAPIKeyRevoked)
	_, err = h.RotateApiKey(as(t, admin), &accountv1.RotateApiKeyRequest{Id: key.GetId()})
	refused(t, err, errs.FailedPrecondition, account.ReasonAPIKeyRevoked)
	wantKeyEvents(t, h, key.GetId())
}

func wantKeyEvents(t *testing.T, h environment, id string) {
	t.Helper()
	var got []string
	for _, e := range h.events(t) {
		if !strings.HasPrefix(e.Subject, "event.apikey.") {
			continue
		}
		var key accountv1.ApiKey
		if err := proto.Unmarshal(e.Data, &key); err != nil || key.GetId() != id {
			t.Errorf("%s carries %v, %v", e.Subject, &key, err)
		}
		got = append(got, strings.TrimSuffix(strings.TrimPrefix(e.Subject, "event.apikey."), "."+id))
	}
	if !slices.Equal(got, []string{"created", "rotated", "revoked"}) {
		t.Errorf("events %v", got)
	}
}

func TestKeysThatDoNotVerify(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	admin := as(t, h.login(t, "admin").GetAccount())
	request := createRequest("trip:read")
	request.ExpiresAt = timestamppb.New(h.clock.Now().Add(time.Hour))
	good := h.createKey(t, admin, request)
	typo := []byte(good.GetSecret())
	typo[20] ^= 1
	for name, c := range map[string]struct{ key, reason string }{
		"nothing":                           {"", account.ReasonAPIKeyMalformed},
		"a typo":                            {string(typo), account.ReasonAPIKeyMalformed},
		"a prefix that nobody has":          {apikey.New().Reveal(), account.ReasonAPIKeyUnknown},
		"another secret of somebody's":      {resealed(good.GetApiKey().GetPrefix()), account.ReasonAPIKeyUnknown},
		"an access token instead of a key":  {"eyJhbGciOiJSUzI1NiJ9.e30.x", account.ReasonAPIKeyMalformed},
		"a key without its end":             {good.GetSecret()[:40], account.ReasonAPIKeyMalformed},
		"a key with something after it":     {good.GetSecret() + "\n", account.ReasonAPIKeyMalformed},
		"a key whose checksum is all zeros": {good.GetSecret()[:apikey.Length-6] + "000000", account.ReasonAPIKeyMalformed},
	} {
		_, err := h.verify(t, c.key)
		if refused(t, err, errs.Unauthenticated, c.reason); t.Failed() {
			t.Fatal(name)
		}
	}
	h.clock.Advance(time.Hour)
	_, err := h.verify(t, good.GetSecret())
	refused(t, err, errs.Unauthenticated, account.ReasonAPIKeyExpired)
	_, err = h.verify(t, resealed(good.GetApiKey().GetPrefix()))
	refused(t, err, errs.Unauthenticated, account.ReasonAPIKeyUnknown) // who has no secret is not told more
	_, err = h.RotateApiKey(admin, &accountv1.RotateApiKeyRequest{Id: good.GetApiKey().GetId()})
	refused(t, err, errs.FailedPrecondition, account.ReasonAPIKeyExpired)
}

// resealed is a well-formed key with the prefix and a secret that somebody made up.
func resealed(prefix string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body := "sluice_" + prefix + "_" + strings.Repeat("0", 32)
	sum, sealed := crc32.ChecksumIEEE([]byte(body)), ""
	for range 6 {
		sealed = string(digits[sum%62]) + sealed
		sum /= 62
	}
	return body + sealed
}

func TestUsesAreNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	admin := as(t, h.login(t, "admin").GetAccount())
	created := h.createKey(t, admin, createRequest("trip:read"))
	first := h.clock.Now()
	for _, c := range []struct{ after, want time.Duration }{{0, 0}, {59 * time.Second, 0}, {time.Second, time.Minute}} {
		h.clock.Advance(c.after)
		verified, err := h.verify(t, created.GetSecret())
		if err != nil {
			t.Fatal(err)
		}
		kept, err := h.BatchGetApiKeys(admin, &accountv1.BatchGetRequest{Ids: []string{created.GetApiKey().GetId()}})
		if err != nil || !proto.Equal(kept.GetApiKeys()[0], verified) || !verified.GetLastUsedAt().AsTime().Equal(first.Add(c.want)) {
			t.Errorf("after %v: told %v, kept %v, %v", c.after, verified.GetLastUsedAt(), kept, err)
		}
	}
}

// sick is a store some of whose methods fail.
type sick struct {
	account.Store
	taken int // how many prefixes are taken
}

func (s *sick) TouchAPIKey(context.Context, string, time.Time, time.Time) error {
	return errors.New("the disk is full")
}

func (s *sick) CreateAPIKey(ctx context.Context, once idempotency.Key, key account.APIKey, maker string, secret account.Hash) (account.APIKey, error) {
	if s.taken > 0 {
		s.taken--
		return account.APIKey{}, fmt.Errorf("insert: %w", account.ErrPrefixTaken)
	}
	return s.Store.CreateAPIKey(ctx, once, key, maker, secret)
}

func TestAKeyIsGoodThoughItsUseCannotBeNotedAndAPrefixIsDrawnAgain(t *testing.T) {
	t.Parallel()
	h := build(t, func(s account.Store) account.Store { return &sick{Store: s, taken: 2} })
	created := h.createKey(t, as(t, h.login(t, "admin").GetAccount()), createRequest("trip:read"))
	if verified, err := h.verify(t, created.GetSecret()); err != nil || verified.GetLastUsedAt() != nil {
		t.Errorf("%v, %v", verified, err)
	}
}

func TestARepeatedCreationShowsNoSecret(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	admin := as(t, h.login(t, "admin").GetAccount())
	request := createRequest("trip:read", "job:read")
	request.IdempotencyKey = "once"
	first := h.createKey(t, admin, request)
	request.Scopes = []string{"job:read", "trip:read"} // the same set
	again := h.createKey(t, admin, request)
	if first.GetSecret() == "" || again.GetSecret() != "" || !proto.Equal(first.GetApiKey(), again.GetApiKey()) {
		t.Errorf("first %v, again %v with secret %q", first.GetApiKey(), again.GetApiKey(), again.GetSecret())
	}
	request.Name = "other"
	_, err := h.CreateApiKey(admin, request)
	refused(t, err, errs.Aborted, errs.ReasonKeyReused)
	var kept string
	if err := h.db.Read().QueryRowContext(t.Context(), `SELECT result FROM idempotency`).Scan(&kept); err != nil {
		t.Fatal(err)
	}
	if secret := first.GetSecret(); strings.Contains(kept, secret[len(secret)-30:]) || strings.Contains(kept, "Hash") {
		t.Errorf("kept: %s", kept)
	}
}

func TestARepeatedRotationShowsNoSecret(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	admin := as(t, h.login(t, "admin").GetAccount())
	request := &accountv1.RotateApiKeyRequest{Id: h.createKey(t, admin, createRequest("trip:read")).GetApiKey().GetId(), IdempotencyKey: "once"}
	first, err := h.RotateApiKey(admin, request)
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.RotateApiKey(admin, request)
	if err != nil || first.GetSecret() == "" || again.GetSecret() != "" || !proto.Equal(first.GetApiKey(), again.GetApiKey()) {
		t.Errorf("first %v, again %v with secret %q, %v", first.GetApiKey(), again.GetApiKey(), again.GetSecret(), err)
	}
	if _, err := h.verify(t, first.GetSecret()); err != nil {
		t.Errorf("the first secret: %v", err)
	}
	request.IdempotencyKey = "twice"
	if next, err := h.RotateApiKey(admin, request); err != nil || next.GetSecret() == "" {
		t.Errorf("under another key: %v, %v", next, err)
	}
}

// A key is of those that made it: only they see and revoke it, and it ends with them.
func TestAKeySeesAndRevokesOnlyKeysThatItMade(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	admin := as(t, h.login(t, "admin").GetAccount())
	root := h.createKey(t, admin, createRequest("apikey:write", "trip:read")).GetApiKey()
	wide := h.createKey(t, admin, createRequest("apikey:write", "job:write")).GetApiKey()
	child := h.createKey(t, asKey(t, root), createRequest("apikey:write", "trip:read"))
	grandchild := h.createKey(t, asKey(t, child.GetApiKey()), createRequest("trip:read"))
	list, err := h.ListApiKeys(asKey(t, root), &accountv1.ListApiKeysRequest{})
	if got := keyIDs(list.GetApiKeys()); err != nil || !slices.Equal(sorted(got), sorted([]string{child.GetApiKey().GetId(), grandchild.GetApiKey().GetId()})) {
		t.Errorf("a key lists %v, %v", got, err)
	}
	for _, id := range []string{wide.GetId(), root.GetId()} {
		_, err := h.RevokeApiKey(asKey(t, child.GetApiKey()), &accountv1.RevokeApiKeyRequest{Id: id})
		refused(t, err, errs.NotFound, errs.ReasonNotFound)
	}
	if child.GetApiKey().GetMakerId() != root.GetId() || root.GetMakerId() != "" {
		t.Errorf("made by %q", child.GetApiKey().GetMakerId())
	}
	if _, err := h.RevokeApiKey(admin, &accountv1.RevokeApiKeyRequest{Id: root.GetId()}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []*accountv1.CreatedApiKey{child, grandchild} {
		_, err := h.verify(t, key.GetSecret())
		refused(t, err, errs.Unauthenticated, account.ReasonAPIKeyRevoked)
	}
	if revoked := slices.DeleteFunc(h.events(t), func(e sqldb.Event) bool { return !strings.HasPrefix(e.Subject, "event.apikey.revoked.") }); len(revoked) != 3 {
		t.Errorf("%d events of revoked keys, want 3: gateways drop their verdicts by them", len(revoked))
	}
}

func TestBadCreationsAreRefused(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	admin := as(t, h.login(t, "admin").GetAccount())
	in := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(h.clock.Now().Add(d)) }
	for name, spoil := range map[string]func(*accountv1.CreateApiKeyRequest){
		"name: empty":              func(r *accountv1.CreateApiKeyRequest) { r.Name = "" },
		"name: with a bell":        func(r *accountv1.CreateApiKeyRequest) { r.Name = "a\a" },
		"scopes: none":             func(r *accountv1.CreateApiKeyRequest) { r.Scopes = nil },
		"scopes: unknown":          func(r *accountv1.CreateApiKeyRequest) { r.Scopes = []string{"trip:read", "trip:*"} },
		"pointsPerMinute: below":   func(r *accountv1.CreateApiKeyRequest) { r.PointsPerMinute = -1 },
		"pointsPerMinute: above":   func(r *accountv1.CreateApiKeyRequest) { r.PointsPerMinute = 1_000_001 },
		"expiresAt: now":           func(r *accountv1.CreateApiKeyRequest) { r.ExpiresAt = in(0) },
		"expiresAt: in six years":  func(r *accountv1.CreateApiKeyRequest) { r.ExpiresAt = in(6 * 365 * 24 * time.Hour) },
		"expiresAt: not a time":    func(r *accountv1.CreateApiKeyRequest) { r.ExpiresAt = &timestamppb.Timestamp{Nanos: -1} },
		"idempotencyKey: too long": func(r *accountv1.CreateApiKeyRequest) { r.IdempotencyKey = strings.Repeat("x", 201) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := createRequest("trip:read")
			spoil(request)
			_, err := h.CreateApiKey(admin, request)
			refused(t, err, errs.InvalidArgument, errs.ReasonInvalidField)
			if field, _, _ := strings.Cut(name, ":"); !strings.HasPrefix(fmt.Sprint(err), field+": ") {
				t.Errorf("%v does not name %s", err, field)
			}
		})
	}
}

func TestNobodyGivesMoreThanItHas(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	admin, alice := h.login(t, "admin").GetAccount(), h.login(t, "alice").GetAccount()
	_, err := h.CreateApiKey(as(t, alice), createRequest("trip:read"))
	refused(t, err, errs.PermissionDenied, "SCOPE_MISSING")
	_, err = h.CreateApiKey(t.Context(), createRequest("trip:read"))
	refused(t, err, errs.Unauthenticated, "SIGN_IN_REQUIRED")
	_, err = h.CreateApiKey(asSystem(t), createRequest("trip:read"))
	refused(t, err, errs.PermissionDenied, errs.ReasonNotAllowed)

	wide := h.createKey(t, as(t, admin), createRequest("apikey:write", "trip:read", "job:write")).GetApiKey()
	narrow := h.createKey(t, as(t, admin), createRequest("apikey:write", "trip:read")).GetApiKey()
	h.createKey(t, asKey(t, narrow), createRequest("trip:read"))
	_, err = h.CreateApiKey(asKey(t, narrow), createRequest("trip:read", "job:write"))
	refused(t, err, errs.PermissionDenied, account.ReasonScopeNotHeld)
	_, err = h.RotateApiKey(asKey(t, narrow), &accountv1.RotateApiKeyRequest{Id: wide.GetId()})
	refused(t, err, errs.NotFound, errs.ReasonNotFound)
	if _, err := h.RotateApiKey(asKey(t, narrow), &accountv1.RotateApiKeyRequest{Id: narrow.GetId()}); err != nil {
		t.Errorf("a key rotates itself: %v", err)
	}
}

// trusted gives a context on behalf of an account that may manage its keys.
func trusted(t *testing.T, a *accountv1.Account) context.Context {
	t.Helper()
	role := caller.Role(strings.TrimPrefix(a.GetRole().String(), "ROLE_"))
	return caller.NewContext(t.Context(), caller.Caller{AccountID: a.GetId(), Role: role, Scopes: []string{"apikey:write", "trip:read"}})
}

func TestWhoMayManageWhichKey(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	admin, alice, bob := h.login(t, "admin").GetAccount(), h.login(t, "alice").GetAccount(), h.login(t, "bob").GetAccount()
	h.clock.Advance(time.Second)
	ofAdmin := h.createKey(t, as(t, admin), createRequest("trip:read", "apikey:write")).GetApiKey()
	h.clock.Advance(time.Second)
	ofAlice := h.createKey(t, trusted(t, alice), createRequest("trip:read")).GetApiKey()
	for name, c := range map[string]struct {
		ctx  context.Context
		want []string
	}{
		"administrators":       {as(t, admin), []string{ofAlice.GetId(), ofAdmin.GetId()}},
		"the owner":            {trusted(t, alice), []string{ofAlice.GetId()}},
		"somebody else":        {trusted(t, bob), nil},
		"a key without rights": {asKey(t, ofAlice), []string{ofAlice.GetId()}},
	} {
		t.Run(name, func(t *testing.T) {
			wanted := []string{ofAdmin.GetId(), ofAlice.GetId(), ofAlice.GetId(), "nonsense", alice.GetId()}
			batch, err := h.BatchGetApiKeys(c.ctx, &accountv1.BatchGetRequest{Ids: wanted})
			if got := keyIDs(batch.GetApiKeys()); err != nil || !slices.Equal(sorted(got), sorted(c.want)) {
				t.Errorf("batch: %v, %v", got, err)
			}
			if name == "a key without rights" {
				_, err := h.ListApiKeys(c.ctx, &accountv1.ListApiKeysRequest{})
				refused(t, err, errs.PermissionDenied, "SCOPE_MISSING")
				return
			}
			list, err := h.ListApiKeys(c.ctx, &accountv1.ListApiKeysRequest{})
			if got := keyIDs(list.GetApiKeys()); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("list: %v, %v", got, err)
			}
		})
	}
	unseenIsMissing(t, h, trusted(t, bob), ofAlice.GetId())
	_, err := h.BatchGetApiKeys(t.Context(), &accountv1.BatchGetRequest{})
	refused(t, err, errs.Unauthenticated, "SIGN_IN_REQUIRED")
}

// unseenIsMissing checks that a key of somebody else's is refused as one that does not exist.
func unseenIsMissing(t *testing.T, h environment, ctx context.Context, foreign string) {
	t.Helper()
	for _, id := range []string{foreign, ids.New(ids.APIKey)} {
		_, err := h.RevokeApiKey(ctx, &accountv1.RevokeApiKeyRequest{Id: id})
		refused(t, err, errs.NotFound, errs.ReasonNotFound)
		_, err = h.RotateApiKey(ctx, &accountv1.RotateApiKeyRequest{Id: id})
		refused(t, err, errs.NotFound, errs.ReasonNotFound)
		if want := fmt.Sprintf("there is no API key %q", id); fmt.Sprint(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, id := range []string{"", "nonsense", ids.New(ids.Trip)} {
		_, err := h.RevokeApiKey(ctx, &accountv1.RevokeApiKeyRequest{Id: id})
		refused(t, err, errs.InvalidArgument, errs.ReasonInvalidField)
	}
}

func keyIDs(keys []*accountv1.ApiKey) []string {
	var all []string
	for _, key := range keys {
		all = append(all, key.GetId())
	}
	return all
}

func sorted(texts []string) []string { return slices.Sorted(slices.Values(texts)) }

// A key that is limited to some devices makes no key for more of them.
func TestALimitIsHandedOn(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	admin := h.login(t, "admin").GetAccount()
	request := createRequest("device:read")
	request.DeviceLabels = map[string]string{"site": "north"}
	limited := h.createKey(t, as(t, admin), request).GetApiKey()
	if limited.GetDeviceLabels()["site"] != "north" {
		t.Errorf("made %v", limited)
	}
	key := caller.NewContext(t.Context(), caller.Caller{
		AccountID: admin.GetId(), APIKeyID: limited.GetId(), Role: caller.Admin, Scopes: caller.ScopesOf(caller.Admin),
		DeviceLabels: limited.GetDeviceLabels(),
	})
	for name, c := range map[string]struct {
		labels map[string]string
		ok     bool
	}{
		"no limit":         {nil, false},
		"another limit":    {map[string]string{"site": "south"}, false},
		"the same limit":   {map[string]string{"site": "north"}, true},
		"a narrower limit": {map[string]string{"site": "north", "floor": "2"}, true},
	} {
		request := createRequest("device:read")
		request.DeviceLabels = c.labels
		if _, err := h.CreateApiKey(key, request); c.ok {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else {
			refused(t, err, errs.PermissionDenied, account.ReasonScopeNotHeld)
		}
	}
	wide := h.createKey(t, as(t, admin), createRequest("device:read")).GetApiKey()
	_, err := h.RotateApiKey(key, &accountv1.RotateApiKeyRequest{Id: wide.GetId()})
	refused(t, err, errs.NotFound, errs.ReasonNotFound)
}
