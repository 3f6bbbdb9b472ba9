// Package harness runs the built program for the end-to-end tests: as a child process, with its own data
// folder and ports. Tests send requests over HTTP, WebSocket and MQTT, and run the program's commands. They
// read a store directly only after the program has ended.
//
// It promises: the program is built once for all packages of a test run; each program ends with its test;
// every wait ends after Timeout, with the output of the program in the message of the failure. Tests that
// only read share one program per package, which was started with --demo.
package harness
