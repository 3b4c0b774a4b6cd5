package main

import (
	"slices"

	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/rules"
)

// identityEntries hands the file's identity section to the package that acts on it.
func identityEntries(file *rules.File) []identity.Entry {
	entries := make([]identity.Entry, len(file.Identity))
	for i, r := range file.Identity {
		entries[i] = identity.Entry{
			Kind: r.Kind, Header: r.Header, Get: r.Get, Post: r.Post, Body: r.Body, CA: r.CA, User: r.User,
			Credentials: r.Credentials, Parameters: r.Query,
		}
		if r.JWT != nil {
			addToken(&entries[i], r.JWT)
		}
		if k := r.Key; k != nil {
			e := &entries[i]
			e.Header, e.Query, e.Secret, e.Unverified = k.Header, k.Query, identity.Source(k.Secret), k.Unverified
		}
	}
	return entries
}

func addToken(e *identity.Entry, s *rules.JWTSettings) {
	e.JWKS, e.Issuer, e.Audience, e.Algorithms, e.Leeway, e.CA = s.JWKS, s.Issuer, s.Audience, s.Algorithms, s.Leeway, s.CA
	for _, key := range s.Keys {
		e.Keys = append(e.Keys, identity.Source(key))
	}
}

// credentialHeaders answers the headers that clients send to be known by.
func credentialHeaders(file *rules.File) []string {
	var names []string
	for _, r := range file.Identity {
		names = append(names, r.Headers()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// credentialParameters answers the query parameters that clients send to be
// known by.
func credentialParameters(file *rules.File) []string {
	var names []string
	for _, r := range file.Identity {
		names = append(names, r.Parameters()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
