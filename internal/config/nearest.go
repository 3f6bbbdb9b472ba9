package config

import (
	"slices"
	"strings"
)

// suggest ends the message on an unknown name with the known one that was probably meant.
func suggest(name string, known []string) string {
	if meant := nearest(name, known); meant != "" {
		return "; did you mean " + meant + "?"
	}
	return ""
}

// nearest gives the known name with the fewest typing errors, or else one that holds all of the
// name's words ("trip.database" for "services.trip.database"), or "".
func nearest(name string, known []string) string {
	best, least := "", len(name)
	for _, candidate := range known {
		if d := distance(name, candidate); d < least {
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

func containsAll(words, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(words, w) })
}

// distance is Levenshtein's: how many bytes to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
