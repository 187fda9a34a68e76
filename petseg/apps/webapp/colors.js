// Takes a colour of colors.html.

const choose = (color) => {
  props.value = color;
  trigger("input");
};
element.addEventListener("change", ({ target }) => choose(target.value));
element.addEventListener("click", ({ target }) => target.matches("button") && choose(target.value));
