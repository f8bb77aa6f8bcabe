"""The command line: a module per noun, a function per verb. Heavy imports happen inside the commands that need them."""
