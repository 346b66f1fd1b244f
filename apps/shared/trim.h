#pragma once
/* apps/shared/trim: gives back the memory that only the start needed. */

/* The heap's free pages, and the pages of programs' and libraries' files that nobody wrote to:
 * code, and the tables by which they were linked. Most of what is resident after a start was used
 * once, to set a library up. A page that is used again comes back from the kernel's cache, so
 * nothing but residence changes: what is private to the process was not among them. Linux with
 * glibc; elsewhere nothing happens. */
void trim_memory(void);
