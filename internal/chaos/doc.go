// Package chaos holds the tests of the two promises under fire: real processes
// of hookproxy before an API and receivers of the tests' own, a real Redis, and
// everything of it killed, stopped, slowed down and filled up while clients write.
//
//	load ──► 2 proxies ──► API            deliverers ──► receivers
//	             └──► Redis (or spool) ──────┘
//
// Everything is on loopback, bounded in time and count. A run prints its seed;
// make chaos SEED=… runs it again.
package chaos
