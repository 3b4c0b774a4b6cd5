package openapi

import (
	"regexp"
	"strings"
	"unicode"
)

// prefixWords stand at the beginning of paths and name no resource.
var prefixWords = map[string]bool{"api": true, "apis": true, "rest": true, "restapi": true, "rpc": true, "services": true}

// version is a segment that tells versions of an API apart: v2, v1beta1, 2010-04-01.
var version = regexp.MustCompile(`^(v[0-9]+([._-][0-9]+)*((alpha|beta|rc)[0-9]*)?|[0-9]{4}-[0-9]{2}(-[0-9]{2})?|[0-9]+(\.[0-9]+)*)$`)

// formats are endings of a path that tell a format.
var formats = regexp.MustCompile(`\.(json|xml|html|ya?ml)$`)

// snake answers a text as names of events have them: userGroups and
// "user-groups" as user_groups. What has no letter of theirs is left out.
func snake(text string) string {
	var b strings.Builder
	runes := []rune(text)
	for i, r := range runes {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case r >= 'A' && r <= 'Z':
			after := i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1]))
			before := i > 0 && i+1 < len(runes) && unicode.IsUpper(runes[i-1]) && unicode.IsLower(runes[i+1])
			if after || before {
				b.WriteByte('_')
			}
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteByte('_')
		}
	}
	return strings.Trim(underscores.ReplaceAllString(b.String(), "_"), "_")
}

var underscores = regexp.MustCompile(`_+`)

// singulars are words that the endings below would get wrong.
var singulars = map[string]string{
	"people": "person", "children": "child", "men": "man", "women": "woman", "indices": "index", "vertices": "vertex",
	"matrices": "matrix", "criteria": "criterion", "analyses": "analysis", "bases": "base", "statuses": "status", "aliases": "alias",
	"buses": "bus", "bonuses": "bonus", "viruses": "virus", "campuses": "campus", "caches": "cache", "movies": "movie",
	"cookies": "cookie", "pies": "pie", "ties": "tie", "lives": "life", "news": "news", "series": "series", "species": "species",
	"kubernetes": "kubernetes", "dns": "dns", "sms": "sms", "mms": "mms", "https": "https", "os": "os", "ips": "ip", "aws": "aws",
	"sas": "sas", "tls": "tls", "cms": "cms", "gas": "gas", "access": "access",
}

// singular answers the singular of an English word, the last of several.
func singular(word string) string {
	head, last := "", word
	if i := strings.LastIndexByte(word, '_'); i >= 0 {
		head, last = word[:i+1], word[i+1:]
	}
	if known, ok := singulars[last]; ok {
		return head + known
	}
	for _, ending := range []struct{ plural, singular string }{
		{"ss", "ss"}, {"us", "us"}, {"is", "is"}, {"ies", "y"}, {"sses", "ss"}, {"xes", "x"}, {"ches", "ch"}, {"shes", "sh"}, {"zzes", "zz"}, {"s", ""},
	} {
		if stem, ok := strings.CutSuffix(last, ending.plural); ok && len(stem) > 1 {
			return head + stem + ending.singular
		}
	}
	return word
}

// plural reports whether a word looks like the name of a collection.
func plural(word string) bool { return singular(word) != word }

// questions are last words of a POST that asks rather than writes.
var questions = map[string]bool{
	"search": true, "_search": true, "query": true, "queries": true, "lookup": true, "filter": true, "count": true, "validate": true,
	"preview": true, "estimate": true, "graphql": true, "find": true, "autocomplete": true, "suggest": true, "calculate": true,
}

// asking is how a summary of such a POST begins.
var asking = regexp.MustCompile(`^(?i)(get|list|search|find|retrieve|query|look up)(s|es)?\b`)

// sameName reports whether two names are the same but for capitals and the
// signs between words.
func sameName(a, b string) bool { return letters(a) == letters(b) }

func letters(name string) string { return strings.ReplaceAll(snake(name), "_", "") }
