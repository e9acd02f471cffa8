/* Printing and the verdict: those of the other samples. */
#include "../../runtime/console.c"
