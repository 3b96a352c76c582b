// Package names gives each name one owner. A Table knows what there is for a name: it has one caller make it
// while others wait, and ends what nobody uses any more. What that is, a type parameter says.
//
// Files: table.go (Table: who needs a name), entry.go (Entry and its states), idle.go (entries that stay a
// while unused).
//
// # Decisions
//
//   - 2026-11: who makes something may use it before it is open, or he would wait for himself; and so may who
//     makes something else, or two that use each other would wait for ever. Go tells who is who only in the
//     head of a stack trace, which is read where somebody would have to wait.
//   - 2026-11: a making that failed has failed for all who waited for it: a thousand callers must not each try
//     in turn. Who comes later tries anew.
package names
