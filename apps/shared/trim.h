#pragma once
/* apps/shared/trim: gives back the memory that only the start needed. */

/* The heap's free pages, and the pages of programs' and libraries' code: most of what is resident
 * after a start ran once, to set a library up. A page that is called again comes back from the
 * kernel's cache, so nothing but residence changes. Linux with glibc; elsewhere nothing happens. */
void trim_memory(void);
