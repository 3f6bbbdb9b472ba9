// Package e2e tests Sluice from outside: the built program, run as a child process in folders and on
// ports of its own, asked over HTTP and by its commands. What only shows in a store is read after
// the program has ended.
//
// Tests that only read share one program that was started with --demo.
package harness
