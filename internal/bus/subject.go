package bus

import (
	"fmt"
	"strings"
)

const maxToken = 128

// EventSubject is the subject of an event: "event.trip.changed.trip_01…". Its parts have only letters, digits, "_"
// and "-", so no part can act as a wildcard.
func EventSubject(entity, change, id string) (string, error) {
	for _, token := range []string{entity, change, id} {
		if !isToken(token) {
			return "", fmt.Errorf("%.80q cannot be part of a subject", token)
		}
	}
	return eventPrefix + entity + "." + change + "." + id, nil
}

// ParseEventSubject parses a subject of EventSubject, and refuses others.
func ParseEventSubject(subject string) (entity, change, id string, err error) {
	rest, ok := strings.CutPrefix(subject, eventPrefix)
	parts := strings.Split(rest, ".")
	if !ok || len(parts) != 3 || !isToken(parts[0]) || !isToken(parts[1]) || !isToken(parts[2]) {
		return "", "", "", fmt.Errorf("%.100q is not the subject of an event", subject)
	}
	return parts[0], parts[1], parts[2], nil
}

func isToken(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	for _, c := range []byte(s) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// orderKey is the key of ordering: the last part of a subject, the entity's id, so that "changed" and "deleted" of an
// entity stay in order.
func orderKey(subject string) string {
	return subject[strings.LastIndexByte(subject, '.')+1:]
}
