// Package harness runs the built program for the end-to-end tests, with its own data folder and ports. Tests use
// HTTP, WebSocket, MQTT and commands, and read a store directly only after the program has ended. The program is
// built once per test run; each program ends with its test; every wait ends after Timeout, with the program's output
// in the failure. Tests that only read share one program per package, started with --demo.
package harness
