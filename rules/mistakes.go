package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxMistakes bounds how many mistakes Parse reports at once.
const maxMistakes = 100

// Mistake is one thing wrong with a rules file.
type Mistake struct {
	// File is the name that Parse was given.
	File string
	// Line and Column count from 1.
	Line, Column int
	// Message says what was expected and what was found.
	Message string
}

// At answers the position: "rules.yaml:12:3".
func (m Mistake) At() string { return fmt.Sprintf("%s:%d:%d", m.File, m.Line, m.Column) }

// Error answers "rules.yaml:12:3: message".
func (m Mistake) Error() string { return m.At() + ": " + m.Message }

// Mistakes is everything wrong with a rules file, in the file's order. It is
// the only kind of error that Parse answers.
type Mistakes []Mistake

// Error answers one mistake a line.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, mistake := range m {
		lines[i] = mistake.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single Mistake.
func (m Mistakes) Unwrap() []error {
	all := make([]error, len(m))
	for i, mistake := range m {
		all[i] = mistake
	}
	return all
}

// sorted answers the mistakes by position, each said once, and no more than a
// person would read.
func (m Mistakes) sorted() Mistakes {
	slices.SortStableFunc(m, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	m = slices.Compact(m)
	if len(m) > maxMistakes {
		more := m[maxMistakes]
		more.Message = fmt.Sprintf("%d more mistakes from here on", len(m)-maxMistakes)
		m = append(m[:maxMistakes:maxMistakes], more)
	}
	return m
}

// suggestion answers `; did you mean "x"?` for the word of words that is
// nearest to a misspelt one, or nothing where none is near.
func suggestion(misspelt string, words []string) string {
	best, distance := "", 3
	for _, word := range words {
		if d := editDistance(strings.ToLower(misspelt), strings.ToLower(word)); d < distance && d <= len(word)/2 {
			best, distance = word, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance is Levenshtein's. Words too long to be a typing error of each
// other are simply far apart.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// quoted shows a value inside a message: escaped, and cut where it is long.
func quoted(value string) string {
	const most = 60
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "…"
	}
	return fmt.Sprintf("%q", value)
}
