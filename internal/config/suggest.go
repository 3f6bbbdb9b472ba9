package config

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// suggestion ends the error about an unknown name with the known name that was probably meant.
func suggestion(name string, known []string) string {
	if meant := nearest(name, known); meant != "" {
		return "; did you mean " + meant + "?"
	}
	return ""
}

// nearest returns the known name with the smallest edit distance. If all are too far away, it returns a known name
// that contains all words of the name ("services.trip.database" for "trip.database"), or "".
func nearest(name string, known []string) string {
	best, least := "", len(name)
	for _, candidate := range known {
		if d := levenshtein.ComputeDistance(name, candidate); d < least {
			best, least = candidate, d
		}
	}
	if least <= (len(name)+2)/3 {
		return best
	}
	for _, candidate := range known {
		if containsAll(words(candidate), words(name)) {
			return candidate
		}
	}
	return ""
}

func words(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '.' })
}

func containsAll(words, required []string) bool {
	return !slices.ContainsFunc(required, func(w string) bool { return !slices.Contains(words, w) })
}
