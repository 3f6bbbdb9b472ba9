package job

import (
	"cmp"

	"github.com/sluicehq/sluice/internal/input"
)

// Secretive is a Kind whose payloads contain credentials. A job then shows a masked payload, and only its runs receive
// the whole one.
type Secretive interface {
	Kind
	// Mask returns the payload as it may be shown. A masked payload stays as it is.
	Mask(payload string) string
	// Unmask returns the payload with the secrets of the former one in place of their masks; former is "" for a new job.
	// A mask without a former secret is INVALID_ARGUMENT.
	Unmask(payload, former string) (string, error)
}

// conceal checks a payload that a client sent, and returns what is shown of it and what only runs receive.
func conceal(kind Kind, payload, former string) (shown, secret string, err error) {
	secretive, ok := kind.(Secretive)
	if !ok {
		return payload, "", checkPayload(kind, payload)
	}
	if err := input.JSON("payload", payload, maxPayload); err != nil {
		return "", "", err
	}
	if secret, err = secretive.Unmask(payload, former); err != nil {
		return "", "", err
	}
	return secretive.Mask(secret), secret, kind.Check(secret)
}

// wholePayload returns the payload that runs receive.
func (j Job) wholePayload() string { return cmp.Or(j.Secret, j.Payload) }

// masked returns the job as a store of an earlier version may have stored it for a repeated creation.
func (s *Service) masked(j Job) Job {
	if secretive, ok := s.kinds[j.Kind].(Secretive); ok {
		j.Payload = secretive.Mask(j.Payload)
	}
	return j
}
