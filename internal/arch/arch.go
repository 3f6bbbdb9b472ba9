// Package arch keeps the house in order: its test reads the imports of every package and refuses
// those that go up or sideways. Each rule says why it is there.
package arch
