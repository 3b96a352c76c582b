package host

import (
	"slices"

	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/server/adminui"
)

// checkAdminUI returns a *ValueError when the Admin UI has half a login, or a hash that is none.
func (cfg *Config) checkAdminUI() error {
	const user, hash = "BEANPOLE_ADMIN_UI_USERNAME", "BEANPOLE_ADMIN_UI_PASSWORD_HASH"
	on := cfg.AdminUIUsername != ""
	switch {
	case on && cfg.AdminUIPasswordHash == "":
		return &ValueError{hash, "", "the bcrypt hash of a password when " + user + " is set"}
	case !on && cfg.AdminUIPasswordHash != "":
		return &ValueError{user, "", "a name when " + hash + " is set"}
	case !on && (cfg.AdminUIReadOnly || cfg.AdminUIServerName != "" || len(cfg.AdminUIAllowedOrigins) > 0):
		return &ValueError{user, "", "a name when another BEANPOLE_ADMIN_UI_ variable is set"}
	case on && cfg.Server != nil:
		return &ValueError{user, cfg.AdminUIUsername, "not set for an application that is not of package server"}
	case cfg.listed() && slices.ContainsFunc(cfg.AdminUIAllowedOrigins, func(o string) bool { return !slices.Contains(cfg.AllowedOrigins, o) }):
		return &ValueError{"BEANPOLE_ADMIN_UI_ALLOWED_ORIGINS", text(cfg.AdminUIAllowedOrigins),
			"in BEANPOLE_ALLOWED_ORIGINS too when that is set, or not set: no others may connect then, and those may"}
	case on:
		if _, err := bcrypt.Cost([]byte(cfg.AdminUIPasswordHash)); err != nil {
			return &ValueError{hash, "…", "the bcrypt hash of a password, such as htpasswd -nbB writes"} // not shown
		}
	}
	return nil
}

// attachAdminUI makes the namespace of the Admin UI if there is a login for it, before those of the
// application.
func (h *Host) attachAdminUI() (err error) {
	if h.cfg.AdminUIUsername == "" {
		return nil
	}
	h.adminUI, err = adminui.Attach(h.io, adminui.Config{
		Username:       h.cfg.AdminUIUsername,
		PasswordHash:   h.cfg.AdminUIPasswordHash,
		AllowedOrigins: h.cfg.AdminUIAllowedOrigins,
		ReadOnly:       h.cfg.AdminUIReadOnly,
		ServerID:       h.cfg.AdminUIServerName,
		Logger:         h.log,
	})
	return err
}
