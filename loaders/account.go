package loaders

import "github.com/sluicehq/sluice/bff"

// Accounts loads accounts by id.
func Accounts(p Ports) Batch[string, *bff.Account] { return byID("account", p.Accounts.GetAccounts) }

// APIKeys loads API keys by id.
func APIKeys(p Ports) Batch[string, *bff.ApiKey] { return byID("API key", p.Accounts.GetAPIKeys) }
